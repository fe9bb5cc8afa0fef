"""Ordinary chat, made up: one person who repeats themselves in other words, changes their mind, asks and rambles.

Everything is drawn from a seed. What a turn states is known, so that a test can tell what should stand at the end.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Said(NamedTuple):
    """A turn, and what it states: the new value of an attribute, or whether the person likes a thing."""

    text: str
    answer: str
    attribute: str | None = None
    value: str | None = None
    thing: str | None = None
    likes: bool | None = None


CITIES = [
    "Oslo",
    "Bergen",
    "Lisbon",
    "Kraków",
    "Nairobi",
    "Toronto",
    "Osaka",
    "Perth",
    "Ghent",
    "Valparaíso",
    "Tartu",
    "Galway",
]
FIRMS = ["Acme", "Globex", "Initech", "Hooli", "Umbrella", "Vandelay", "Cyberdyne", "Monarch", "Tyrell", "Wonka"]
COLOURS = ["red", "green", "blue", "teal", "orange", "purple", "yellow", "turquoise", "crimson"]
DIETS = ("vegan", "vegetarian", "pescatarian")
RELATIONSHIPS = ("single", "engaged", "married", "divorced")
THINGS = (
    "coffee", "tea", "cilantro", "olives", "jazz", "techno", "opera", "hiking", "camping", "chess", "running",
    "horror movies", "crime novels", "board games", "spicy food", "dark chocolate", "blue cheese", "cold weather",
    "long flights", "open offices", "gardening", "karaoke", "oysters", "licorice", "early mornings", "podcasts",
    "sailing", "sushi", "marmite", "crosswords", "knitting", "pineapple on pizza",
)  # fmt: skip
PLAIN = (
    ("I'm allergic to {}.", ["peanuts", "shellfish", "pollen", "latex", "penicillin", "cats"]),
    ("I play the {}.", ["piano", "cello", "drums", "trumpet", "harp"]),
    ("I speak {}.", ["Spanish", "Finnish", "Hindi", "Welsh", "Japanese"]),
    ("My {} lives in Rome.", ["sister", "brother", "aunt", "uncle", "cousin"]),
    ("My {} is called Biscuit.", ["dog", "cat", "parrot", "hamster"]),
    ("I have two {}.", ["brothers", "sisters", "cats", "dogs", "daughters"]),
    ("I go to the {} every Monday.", ["gym", "library", "pool", "market"]),
    ("I want to visit {}.", ["Iceland", "Patagonia", "Kyoto", "Georgia", "Malta"]),
    ("I grew up in {}.", ["Texas", "Wales", "Bavaria", "Punjab"]),
    ("I studied {} at university.", ["physics", "law", "geology", "history"]),
)
ATTRIBUTES = {
    "home": ("I live in {}.", "I moved to {} last month.", "I'm based in {}.", "We just moved to {}.",
             "I've moved to {}.", "I currently live in {}."),
    "employer": ("I work at {}.", "I work for {}.", "I'm working at {}.", "I just started a new job at {}.",
                 "My new employer is {}.", "I got a job at {}."),
    "diet": ("I'm {}.", "I'm {} now.", "I've been {} for a while.", "I became {}.", "I've turned {}."),
    "relationship": ("I'm {}.", "I'm {} now.", "I am {}, by the way."),
    "age": ("I'm {} years old.", "I just turned {}.", "I'm {} now.", "I am {}."),
    "phone": ("My phone number is {}.", "My phone is {}.", "My mobile number is {}."),
    "favourite_color": ("My favourite colour is {}.", "{} is my favourite colour.", "My favorite color is {}."),
    "shoe_size": ("My shoe size is {}.",),
}  # fmt: skip
VALUES: dict[str, Sequence[str]] = {
    "home": CITIES,
    "employer": FIRMS,
    "diet": DIETS,
    "relationship": RELATIONSHIPS,
    "favourite_color": COLOURS,
}
NUMBERS = [str(number) for number in range(18, 50)]
DENIALS = {"home": "I no longer live in {}.", "employer": "I don't work at {} any more."}
LIKES = ("I love {}.", "I like {}.", "I really enjoy {}.", "I adore {}.", "I'm fond of {}.", "i like {} a lot")
DISLIKES = (
    "I hate {}.", "I can't stand {}.", "I don't like {}.", "I no longer like {}.", "I dislike {}.",
    "I don't like {} any more.", "I really don't like {}.",
)  # fmt: skip
OPENERS = (
    "",
    "",
    "",
    "By the way, ",
    "btw ",
    "Hi! ",
    "Oh, and ",
    "Actually, ",
    "Well, ",
    "So ",
    "ok, ",
    "Just so you know, ",
)
CORRECTORS = ("Actually, ", "Correction: ", "Update: ", "No, ", "Sorry, I meant: ", "By the way, ", "")
CLOSERS = (
    "",
    "",
    "",
    " What should I cook tonight?",
    " Any ideas for the weekend?",
    " Thanks!",
    " Can you keep it short?",
)
TOPICS = (
    "photosynthesis", "the French revolution", "compound interest", "sourdough", "black holes", "regular expressions",
    "tax returns", "the offside rule", "jet lag", "haiku", "the stock market", "violin strings", "roman roads",
)  # fmt: skip
QUESTIONS = (
    "Can you explain {} in simple words?", "What is {}?", "Tell me a joke about {}.", "Write a haiku about {}.",
    "How did {} begin?", "Summarise {} in three lines.", "Is {} harder than it looks?",
    "Give me five facts about {}.", "Should I worry about {}?", "Which book about {} is the best?",
    "Translate '{}' into Spanish.",
)  # fmt: skip
SMALL_TALK = (
    "thanks, that helps", "ok cool", "lol", "Good morning!", "hmm, let me think about it", "That makes sense.",
    "Can you say that again?", "I'm tired today.", "It's raining again.", "You are quick!", "go on", "never mind",
    "I'm bored.", "What a day.", "Perfect, that worked.", "one more time, please",
)  # fmt: skip
ANSWERS = ("Noted.", "Sure! Here is a short answer.", "That is good to know.", "Let me know if you need more.")


def chatter(turns: int, seed: int = 20261122) -> Iterator[Said]:
    """As many turns; two in five say something about the person, most of it not for the first time."""
    person = _Person(random.Random(seed))
    for _ in range(turns):
        yield person.says()


class _Person:
    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.values = {attribute: self.value(attribute) for attribute in ATTRIBUTES}
        self.told: dict[str, list[str]] = {attribute: [] for attribute in ATTRIBUTES}
        self.likes = {thing: draw.random() < 0.5 for thing in THINGS}

    def says(self) -> Said:
        roll = self.draw.random()
        if roll < 0.04:
            return self.correction()
        if roll < 0.06:
            return self.denial()
        if roll < 0.16:
            return self.attribute(self.draw.choice(list(ATTRIBUTES)), OPENERS)
        if roll < 0.28:
            return self.taste()
        if roll < 0.40:
            shape, words = self.draw.choice(PLAIN)
            return self.spoken(shape.format(self.draw.choice(words)))
        return Said(self.talk(asks=roll < 0.75), self.draw.choice(ANSWERS))

    def correction(self) -> Said:
        attribute = self.draw.choice(list(ATTRIBUTES))
        self.values[attribute] = self.value(attribute)
        return self.attribute(attribute, CORRECTORS)

    def attribute(self, attribute: str, openers: Sequence[str]) -> Said:
        value = self.values[attribute]
        self.told[attribute].append(value)
        said = self.spoken(self.draw.choice(ATTRIBUTES[attribute]).format(value), openers)
        return said._replace(attribute=attribute, value=value)

    def denial(self) -> Said:
        """Of a value that is past, sometimes together with the one that holds."""
        attribute = self.draw.choice(list(DENIALS))
        past = [value for value in self.told[attribute] if value != self.values[attribute]]
        holds = self.attribute(attribute, CORRECTORS)
        if not past:
            return holds
        denied = DENIALS[attribute].format(self.draw.choice(past))
        if holds.value in self.told[attribute][:-1] and self.draw.random() < 0.5:
            return Said(denied, "Noted.")
        return holds._replace(text=f"{denied} {holds.text}")

    def taste(self) -> Said:
        """One in ten has changed."""
        thing = self.draw.choice(THINGS)
        self.likes[thing] ^= self.draw.random() < 0.1
        said = self.spoken(self.draw.choice(LIKES if self.likes[thing] else DISLIKES).format(thing))
        return said._replace(thing=thing, likes=self.likes[thing])

    def spoken(self, statement: str, openers: Sequence[str] = OPENERS) -> Said:
        """As people type it: with or without an opening, a full stop, capitals, and something after it."""
        if self.draw.random() < 0.1:
            statement = statement.rstrip(".")
        if self.draw.random() < 0.1:
            statement = statement.replace("I'm", "i'm").replace("I ", "i ")
        closer = self.draw.choice(CLOSERS) if statement.endswith(".") else ""
        answer = self.draw.choice((*ANSWERS, f"You said: {statement}"))
        return Said(f"{self.draw.choice(openers)}{statement}{closer}", answer)

    def talk(self, *, asks: bool) -> str:
        if asks:
            return self.draw.choice(QUESTIONS).format(self.draw.choice(TOPICS))
        return self.draw.choice(SMALL_TALK)

    def value(self, attribute: str) -> str:
        if attribute == "phone":
            return f"+47 555 {self.draw.randint(10, 99)} {self.draw.randint(100, 999)}"
        return self.draw.choice(VALUES.get(attribute, NUMBERS))
