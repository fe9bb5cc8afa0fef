"""By which topic and person a memory is listed: a fixed sorting of the attributes that the rules find, and for facts
without one a few words of each topic. For people who look for something, never for recall. Pure."""

import re

from rememberd.memory.learn.rules.slots import base
from rememberd.types import Memory

OTHER = "other"

# Topic -> the attributes of `learn/rules/tables` that belong to it, and the beginnings of words that tell it.
_TOPICS = {
    "home": ("home origin birthplace address", "live lived living home house flat apartment rent mortgage garden"),
    "health": (
        "health pregnancy blood_type weight height allergy",
        "allerg medic medication doctor therap asthma diabet pill dose surger hospital migrain diagnos insulin",
    ),
    "food": ("diet", "eat vegan vegetarian food cook coffee tea wine beer breakfast dinner lunch restaurant snack"),
    "work": (
        "job employer education tools",
        "work job colleague boss project company client salary career office study school universit student exam",
    ),
    "people": (
        "family relationship partner children contact",
        "wife husband partner mother father mom dad sister brother son daughter friend cousin aunt uncle married",
    ),
    "pets": ("pet", "dog cat puppy kitten horse goat goats hamster parrot"),
    "plans": (
        "plan event",
        "trip travel flight holiday vacation visit wedding conference moving appointment",
    ),
    "interests": (
        "hobby habit likes language",
        "like love enjoy play read listen music book film guitar piano chess football run hike sail ski collect",
    ),
    "about me": ("name nickname surname pronouns age birthday relationship possession", "birthday born"),
    "how to answer": ("instruction", "answer answers reply replies respond explain"),
}
_BY_SLOT = {slot: topic for topic, (slots, _) in _TOPICS.items() for slot in slots.split()}
_BY_WORD = [
    (re.compile(rf"\b(?:{'|'.join(words.split())})\w{{0,3}}\b", re.IGNORECASE), topic)
    for topic, (_, words) in _TOPICS.items()
]
_RELATIVE = re.compile(
    r"\bmy (?P<who>(?:best )?(?:wife|husband|partner|girlfriend|boyfriend|mother|mom|mum|father|dad|sister|brother"
    r"|son|daughter|friend|boss|colleague|cousin|aunt|uncle|grandmother|grandfather|neighbou?r|flatmate|roommate"
    r"|niece|nephew))(?:,? (?-i:(?P<name>[A-Z]\w+)))?",
    re.IGNORECASE,
)


def topic_of(memory: Memory) -> str:
    """A key of `_TOPICS`, or `OTHER`."""
    slot = base(memory.slot) if memory.slot else ""
    if slot in _BY_SLOT and slot != "family":  # which holds pets, too
        return _BY_SLOT[slot]
    said = memory.text if memory.kind == "fact" else memory.text.partition("\nAssistant:")[0]
    return next((topic for words, topic in _BY_WORD if words.search(said)), _BY_SLOT.get(slot, OTHER))


def person_of(memory: Memory) -> str | None:
    """Whom a fact is about, if it is not its owner: "sister", "brother Tom"."""
    owner = memory.slot.rpartition(".")[0] if memory.slot else ""
    if owner:
        return owner.replace("_", " ")
    found = _RELATIVE.search(memory.text) if memory.kind == "fact" else None
    return " ".join(filter(None, (found["who"].lower(), found["name"]))) if found else None
