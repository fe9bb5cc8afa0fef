"""How turns wait for a model; the same for every adapter."""

BATCH = 8  # turns in one call: 8 turns of at most 2,000 characters have about 4,000 tokens
MAX_ATTEMPTS = 5
FIRST_DELAY_MS = 2_000  # doubled with every attempt
LONGEST_WAIT = 15  # times the idle time; a conversation that never rests is read after this time
DONE_MS = 3_600_000  # for this long, a turn that comes again (a tool loop, a replay) is known to have been read
GIVE_UP_MS = 7 * 86_400_000  # a turn that has waited for the budget this long is not read any more
DAY_MS = 86_400_000
