"""Constants for turns that wait for a model; the same for every adapter."""

BATCH = 8  # turns per call: 8 turns of at most 2,000 characters have about 4,000 tokens
MAX_ATTEMPTS = 5
FIRST_DELAY_MS = 2_000  # doubled with every attempt
LONGEST_WAIT = 15  # times the idle time; a conversation that is never idle is processed after this time
DONE_MS = 3_600_000  # for so long, a turn that comes again (a tool loop, a replay) is recognised
GIVE_UP_MS = 7 * 86_400_000  # a turn that has waited so long for the token budget is dropped
DAY_MS = 86_400_000
