"""How much of what a question needs is recalled; LoCoMo's format: `python -m loadtests.quality --data FILE`."""
