"""The attributes of a person: which of them have one value at a time, and what has a natural end."""

# All others ("diet", "job", "possession", …) may have several values, which never close one another.
_SINGLE_VALUED = (
    "name nickname surname pronouns age birthday birthplace blood_type height weight home address origin "
    "employer relationship partner children shoe_size dress_size ring_size star_sign zodiac_sign "
    "t-shirt_size shirt_size time_zone timezone anniversary wedding_anniversary"
)
_SINGLE = frozenset(_SINGLE_VALUED.split())
_ONE_OF_A_KIND = frozenset("wife husband partner spouse mother mom mum father dad boss landlord landlady".split())  # noqa: SIM905

# The attributes of what the classifier (judge.py) alone has found: those that may have several values, so that none
# is hidden.
OF_KIND = {
    "diet": "diet", "health": "health", "work": "job", "study": "education", "family": "family", "event": "event",
    "possession": "possession", "preference": "likes", "plan": "plan", "instruction": "instruction",
}  # fmt: skip


def is_single(slot: str | None) -> bool:
    """Whether a person has only one value of this attribute at a time."""
    if slot is None:
        return False
    _, dot, attribute = slot.rpartition(".")
    if dot:
        return attribute in ("home", "employer", "age", "relationship", "name")
    return slot in _SINGLE or slot.startswith("favourite_") or slot.endswith(("_word", "_number", "_plate"))


def is_one_person(slot: str) -> bool:
    """Whether the owner of this attribute (of a relative) is one person, like "wife" or "brother tom"."""
    owner, _, _ = slot.rpartition(".")
    words = owner.split("_")
    return not owner or len(words) > 1 or words[0] in _ONE_OF_A_KIND


def base(slot: str) -> str:
    """ "home" of "brother_tom.home"."""
    return slot.rpartition(".")[2]
