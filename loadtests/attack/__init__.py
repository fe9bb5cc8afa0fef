"""`python -m loadtests attack`: everyone tries to get at everyone else's memories, through a real proxy.

Each memory holds a marker with its owner's number. Whatever comes back, and whatever reaches the model, is searched
for a marker that is not its asker's.
"""
