"""How much of what a question needs is recalled: `python -m loadtests.quality DATASET [PATH]`."""
