"""Encryption at rest. Decorators around the ports seal every record before it reaches the store or queue.

    master_key   the operator's key, from the settings, a file or a command
    keyring      a random key for each user, encrypted with the master key; destroyed when the user is erased
    cipher       seals texts, replaces names and ids, keys the ids of words, rotates vectors
    store, queue, records, extraction_queue, preferences    the decorators

deploy/SECURITY.md describes what stays readable, and why.
"""
