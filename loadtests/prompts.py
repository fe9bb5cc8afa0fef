"""What is asked, and what is remembered: made-up words that occur in both, so that questions find something."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

import orjson

USER = "load"
_THINGS = (
    "kayak violin passport lantern bicycle teapot compass blanket camera ladder notebook umbrella telescope hammer"
    " suitcase thermos skateboard typewriter saddle accordion aquarium wheelbarrow projector keyboard trumpet kettle"
    " snowboard sextant microscope harmonica cauldron tripod barometer crate loom anvil easel tent canoe drill"
)
_PLACES = (
    "attic cellar garage garden kitchen office shed balcony hallway pantry studio barn harbour library workshop"
    " greenhouse boathouse loft veranda courtyard stable chapel warehouse cabin lighthouse orchard quarry bakery"
)
_COLOURS = "red green blue yellow black white grey brown purple orange silver golden crimson teal ivory olive"
_FILLER = "We looked at this from several sides and wrote down what each of them would mean for the plan. "
_CHARS_PER_TOKEN = 4.7  # of the filler, by cl100k
_MESSAGE_TOKENS = 400


@dataclass
class Prompt:
    """A conversation of about `tokens` tokens that ends in a question: always a new one, or always the same."""

    model: str
    tokens: int = 50
    stream: bool = False
    question: Literal["new", "same"] = "new"
    seed: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        history = orjson.dumps(_history(self.tokens))[:-1]
        head = orjson.dumps({"model": self.model, "stream": self.stream})[:-1]
        self._start = head + b',"messages":' + history + b',{"role":"user","content":"'
        self._same = question(self._random)

    def body(self) -> bytes:
        asked = self._same if self.question == "same" else question(self._random)
        return self._start + asked.encode() + b'"}]}'


def question(chance: random.Random) -> str:
    """19 to 24 tokens for the packaged model, and personal enough for the relevance floor."""
    colour, thing, place = _words(chance)
    return f"Where did I leave my {colour} {thing} number {chance.randrange(10**6)}, was it near the {place}?"


def memory(chance: random.Random) -> str:
    colour, thing, place = _words(chance)
    return f"My {colour} {thing} number {chance.randrange(10**6)} is kept in the {place}, and I go there every week."


def user_name(number: int) -> str:
    """Of those whose memories `preload` puts into a store."""
    return USER if number == 0 else f"{USER}-{number}"


def _words(chance: random.Random) -> list[str]:
    return [chance.choice(words.split()) for words in (_COLOURS, _THINGS, _PLACES)]


def _history(tokens: int) -> list[dict[str, str]]:
    """Turns of equal length before the question, from the system prompt on."""
    messages = [{"role": "system", "content": "You are a helpful assistant."}]
    text = (_FILLER * (_MESSAGE_TOKENS // 15))[: int(_MESSAGE_TOKENS * _CHARS_PER_TOKEN)]
    for number in range(max(0, tokens - 50) // _MESSAGE_TOKENS):
        messages.append({"role": ("user", "assistant")[number % 2], "content": f"{number}: {text}"})
    return messages
