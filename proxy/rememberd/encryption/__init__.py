"""Encryption at rest, as decorators over the ports: what stands behind one of them sees sealed records only.

    master    the operator's key, from the settings, a file or a command
    keyring   a random key for each user, wrapped by the master key; thrown away when the user is erased
    cipher    what is done with a key: texts sealed, names and ids replaced, word ids keyed, vectors turned
    store, queue, records    the decorators

What stays readable and why is written down in deploy/SECURITY.md.
"""
