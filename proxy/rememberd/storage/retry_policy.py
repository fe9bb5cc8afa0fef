"""How turns wait for a model, the same for every adapter."""

BATCH = 8  # turns of one call: 8 times at most 2,000 characters, some 4,000 tokens
MAX_ATTEMPTS = 5
FIRST_DELAY_MS = 2_000  # doubled with every attempt
LONGEST_WAIT = 15  # times the idle time: a conversation that never rests is read all the same
DONE_MS = 3_600_000  # for so long a turn that comes again (a tool loop, a replay) is known to have been read
GIVE_UP_MS = 7 * 86_400_000  # a turn that has waited for the budget this long is not read any more
DAY_MS = 86_400_000
