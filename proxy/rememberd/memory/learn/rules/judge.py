"""A classifier that judges whether a sentence states something about the person who typed it, and of what kind.

It has learned from labelled sentences (`loadtests/quality/corpora/statements_*.tsv`), so it knows statements in any
form, while rules know only the forms that they list.

Words and characters mostly decide. If they do not, a second classifier reads the sentence's meaning: its
vector by the packaged multilingual model, in a process that has called `read_meaning` or is `judging`. It knows words
that no labelled sentence has. Of two sets that neither had seen, words find .90 of the statements, both .98, at .95.
"""

import asyncio
import logging
import math
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from prometheus_client import Counter

from rememberd.dialects.attribution_words import ASKS
from rememberd.errors import ConfigError
from rememberd.memory.embedding.embedder import MULTILINGUAL, Encode, Vector, local_model, release_free_memory
from rememberd.memory.learn.rules.sentences import LONGEST_SENTENCE, SPACES
from rememberd.memory.learn.rules.statement import without_denial
from rememberd.text_classifier import TextClassifier, normalized, packaged

T = TypeVar("T")
WITHOUT_MEANING = Counter(
    "rememberd_judged_without_meaning", "Messages judged by words alone: the packaged model cannot be loaded."
)

log = logging.getLogger("rememberd.writer")

_FOLDER = Path(__file__).with_name("weights")
_WEIGHTS = _FOLDER / "statements.json"
_MEANING = _FOLDER / "statements_meaning.json"
_VALUES = _FOLDER / "values.json"
_VALUES_MEANING = _FOLDER / "values_meaning.json"
_NOT_ONE = ("none", "play")  # the labels of what is no statement, and of what begins a game, a story or a supposition
_LASTING = "instruction"
_TURNS = ("ended", "again", "corrects")
_PART_ENDS = re.compile(rf"(?:{SPACES})?[,，、;:：–—]\s*|{SPACES}-\s+")
_SHORTEST = 6  # characters of a part
_SHORTEST_TAIL = 12  # what is shorter goes with the words before it
SURE = 0.8  # that a sentence is a statement by its words, where nothing else speaks for it; chosen on the blind sets
# By words and meaning: on two sets that it had not seen .55 finds .80 (precision .953), .5 .84 (.946), .4 .86 (.939).
_SURE_BY_MEANING = 0.55
_PLAY = 0.3  # chosen on the labelled turns
_NO_PLAY = 0.9  # a sentence that is so surely a statement is not read by its last part
# How sure the second classifier must be of one part, and of the whole sentence. Chosen on tests/data/blind/updates.
_PART_TELLS, _WHOLE_TELLS = 0.6, 0.3
SURELY_TELLS = 0.8  # so sure that it is a statement, whatever the first one thinks of it
_MAY_TELL = 0.3  # enough where something else speaks for it, such as what is known of the person
_CHANGES, _CHANGES_BY_WORDS = 0.45, 0.25
LIKELY = 0.4  # that what was said before tells a value that is now another
_TELLING, _TINY = 0.7, 1e-6  # log-odds that a word adds; chosen on tests/data/blind/updates


class Judgement(NamedTuple):
    """`kind` is the likeliest label of a statement: home, family, health, diet, work, study, possession, plan, event,
    preference, identity or instruction. `sure`: the probability that it is a statement at all; `play`: that it makes
    fiction of what stands around it."""

    kind: str
    sure: float
    play: float


# Where a file of weights is missing or damaged: the tables alone then tell statements and their values.
_BY_TABLES = {"none": 0.85, "identity": 0.15, "play": 0.0}
_NO_VALUES = {"none": 1.0} | dict.fromkeys(("home", "employer", "name", "relationship", *_TURNS), 0.0)
_NOTHING = Judgement("identity", 0.0, 0.0)


def _classifier(file: Path) -> TextClassifier:
    return packaged(file, _BY_TABLES if file == _WEIGHTS else _NO_VALUES if file == _VALUES else {})


# What words and meaning count: as they mostly agree, less than two independent witnesses would.
_WEIGHT = 0.6
_LEAST = np.float32(1e-30)  # has a logarithm
_HOPELESS = 0.05  # by words alone; meaning would not make a statement of it
# By words alone, of any value: on four blind sets meaning made at most .18 of less. Half of their parts are below.
_NO_VALUE = 0.02
_HARDLY = 0.005  # the same of one value; of 102 texts of the blind sets that tell one none had less, nor any part
_RESTS_AFTER_S = 60.0


class _Meaning:
    encode: Encode | None = None
    rest: asyncio.TimerHandle | None = None
    failed = False


def read_meaning() -> None:
    """From now on this process judges by meaning, too. It takes .3 s and 100 MB, at the first call. Raises
    `ConfigError` if the packaged model is missing or broken."""
    if _Meaning.encode is None:
        _Meaning.encode = local_model(MULTILINGUAL)
        for judged in (judge, tells, _values, _vector):
            judged.cache_clear()


async def judging(work: Callable[[], T]) -> T:
    """The result of `work`, in a thread that judges by meaning, or by words alone if that is not possible. A minute
    after the last call, the memory for this is freed."""
    _rest_by(None)
    try:
        await asyncio.to_thread(_try_to_read_meaning)
        return await asyncio.to_thread(work)
    finally:
        _rest_by(asyncio.get_running_loop().call_later(_RESTS_AFTER_S, _rest))


def _rest_by(timer: asyncio.TimerHandle | None) -> None:
    """Only the last of several calls may leave a timer: an earlier one's would unload a model in use."""
    if _Meaning.rest is not None:
        _Meaning.rest.cancel()
    _Meaning.rest = timer


def _try_to_read_meaning() -> None:
    """A broken installation loses no turn. Each turn tries again, so that a repair needs no restart."""
    try:
        read_meaning()
        _Meaning.failed = False
    except ConfigError as error:
        WITHOUT_MEANING.inc()
        if not _Meaning.failed:
            log.error("statements are judged by their words alone, which finds fewer of them: %s", error)
        _Meaning.failed = True


def _rest() -> None:
    _Meaning.encode = None
    release_free_memory()


@lru_cache(maxsize=1024)
def judge(sentence: str) -> Judgement:
    found = _classifier(_WEIGHTS).probabilities(sentence)
    if 1 - sum(found[label] for label in _NOT_ONE) >= _HOPELESS:
        found = _with_meaning(found, sentence, _MEANING)
    kinds = {label: each for label, each in found.items() if label not in _NOT_ONE}
    sure = sum(kinds.values())
    if kinds.get(_LASTING, 0.0) < sure / 2:  # it would stand in every block
        kinds.pop(_LASTING, None)
    return Judgement(max(kinds, key=lambda label: kinds[label]), sure, found["play"])


def _with_meaning(by_words: dict[str, float], sentence: str, weights: Path) -> dict[str, float]:
    """`by_words` alone, in a process that does not read meaning, and while a file of weights cannot be read."""
    meaning = _classifier(weights)
    if meaning.labels != tuple(by_words) or (vector := _vector(sentence)) is None:
        return by_words
    likely = np.maximum(np.array([by_words[label] for label in meaning.labels], np.float32), _LEAST)
    both = np.log(likely) + meaning.logarithms(np.arange(len(vector)), vector)
    return dict(zip(meaning.labels, np.exp(normalized(_WEIGHT * both)).tolist(), strict=True))


@lru_cache(maxsize=256)  # several classifiers read it one after the other, those of other turns in between
def _vector(sentence: str) -> Vector | None:
    encode = _Meaning.encode  # another thread may unload it meanwhile
    return None if encode is None else encode(sentence)


def enough() -> float:
    """How sure a judgement must be of a statement without other signs of it."""
    return SURE if _Meaning.encode is None else _SURE_BY_MEANING


def makes_play(sentence: str) -> bool:
    """Whether it makes the text around it fiction, as a whole or by its last part: "…, who sang that?"."""
    whole = judge(sentence)
    *_, last = [0, *(found.end() for found in _PART_ENDS.finditer(sentence))]
    if _is_play(whole) or len(sentence) - last < _SHORTEST_TAIL or whole.sure >= _NO_PLAY:
        return _is_play(whole)
    return _is_play(judge(sentence[last:])) and not tells(sentence)


def _is_play(judged: Judgement) -> bool:
    return _PLAY <= judged.play > judged.sure


def judge_beginning(sentence: str, least: float = 1.0) -> Judgement:
    """The judgement of the sentence, or of the words before one of its commas if that is surer: "I'm vegan, what can
    I eat"; of the first that is so sure as `least`. Words before the colon of a question are a topic or an order."""
    asks = sentence.rstrip().endswith(ASKS)
    found = (each for each in _PART_ENDS.finditer(sentence) if not (asks and each[0].strip() in (":", "：")))
    ends = [each.start() for each in found if each.start() >= _SHORTEST]
    best = _NOTHING
    for text in (*(() if asks else (sentence,)), *(sentence[:end] for end in ends[:4])):
        if best.sure < least:
            best = max(best, judge(text), key=lambda each: each.sure)
    return best


@lru_cache(maxsize=4096)
def tells(sentence: str) -> frozenset[str]:
    """The labels of a second classifier (its corpus: `values_*.tsv`): the present value of the person's own "home",
    "employer", "name" or "relationship"; or that something is over ("ended") or true "again"."""
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
    if len(sentence) > LONGEST_SENTENCE:
        return frozenset()
    words = sentence.split()
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
    """The second classifier's result for the sentence, and for each of its parts."""
    if len(sentence) > LONGEST_SENTENCE:
        return (dict.fromkeys(_classifier(_VALUES).labels, 0.0),)
    texts = _parts(sentence)
    whole, *parts = map(_value_of, texts)
    if not parts:
        return (_undenied(whole, sentence),)
    undenied = [_undenied(part, text) for part, text in zip(parts, texts[1:], strict=True)]
    if undenied != parts:
        whole = {**whole, "ended": max(part["ended"] for part in undenied)}
    return (whole, *undenied)


def _undenied(told: dict[str, float], text: str) -> dict[str, float]:
    """A denied end is none: without its "not" "I haven't quit" would tell an end, and "I'm not on statins now" would
    not."""
    denied = told["ended"] >= _MAY_TELL and denies_an_end(text, told["ended"] / 2)
    return {**told, "ended": 0.0} if denied else told


def denies_an_end(text: str, least: float = _PART_TELLS) -> bool:
    """Would it tell an end, at least as surely as that, if it denied nothing?"""
    said = without_denial(text)
    return said is not None and _value_of(said)["ended"] >= least


def _parts(sentence: str) -> tuple[str, ...]:
    return (sentence, *(part for part in clauses_of(sentence) if _SHORTEST <= len(part) < len(sentence)))


@lru_cache(maxsize=1024)
def _value_by_words(text: str) -> dict[str, float]:
    return _classifier(_VALUES).probabilities(text)


def _value_of(text: str) -> dict[str, float]:
    by_words = _value_by_words(text)
    if 1 - by_words["none"] < _NO_VALUE:
        return by_words
    return _with_meaning(by_words, text, _VALUES_MEANING)


def clauses_of(sentence: str) -> list[str]:
    """The parts between its commas and dashes."""
    return [part for part in _PART_ENDS.split(sentence) if part]
