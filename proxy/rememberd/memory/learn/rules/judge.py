"""A classifier that judges whether a sentence states something about the person who typed it, and of what kind.

It has learned from labelled sentences (`loadtests/quality/corpora/statements_*.tsv`), so it knows statements in any
form, while rules know only the forms that they list.

Words and characters mostly decide. If they do not, a second classifier reads the sentence's meaning: its
vector by the packaged multilingual model, in a process that has called `read_meaning` or is `judging`. It knows words
that are in no labelled sentence. In two sets that neither had seen, words alone find .90 of the statements, both
together .98, with a precision of .95.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from prometheus_client import Counter

from rememberd.dialects.attribution_words import ASKS
from rememberd.errors import ConfigError
from rememberd.memory.embedding.embedder import MULTILINGUAL, Encode, Vector, local_model, release_free_memory
from rememberd.memory.learn.rules.sentences import SPACES
from rememberd.text_classifier import normalized, packaged

T = TypeVar("T")
WITHOUT_MEANING = Counter(
    "rememberd_judged_without_meaning", "Messages judged by words alone: the packaged model cannot be loaded."
)

log = logging.getLogger("rememberd.writer")

WEIGHTS = Path(__file__).with_name("weights")
_WORDS = WEIGHTS / "statements.json"
_MEANING = WEIGHTS / "statements_meaning.json"
_NOT_ONE = ("none", "play")  # the labels of other sentences, and of those that begin a game, a story or a supposition
_LASTING = "instruction"
PART_ENDS = re.compile(rf"(?:{SPACES})?[,，、;:：–—]\s*|{SPACES}-\s+")
SHORTEST = 6  # characters of a part
SURE = 0.8  # that a sentence is a statement by its words, where nothing else speaks for it; chosen on the blind sets
# By words and meaning: on two sets that it had not seen .55 finds .80 (precision .953), .5 .84 (.946), .4 .86 (.939).
_SURE_BY_MEANING = 0.55


class Judgement(NamedTuple):
    """`kind` is the likeliest label of a statement: home, family, health, diet, work, study, possession, plan, event,
    preference, identity or instruction. `sure`: the probability that it is a statement at all; `play`: that it makes
    fiction of what stands around it."""

    kind: str
    sure: float
    play: float


# Where a file of weights is missing or damaged: the tables alone then tell statements.
_BY_TABLES = {"none": 0.85, "identity": 0.15, "play": 0.0}
_NOTHING = Judgement("identity", 0.0, 0.0)

# What words and meaning count: as they mostly agree, less than two independent witnesses would.
_WEIGHT = 0.6
_LEAST = np.float32(1e-30)  # has a logarithm
_HOPELESS = 0.05  # by words alone; meaning would not make a statement of it
_HARDLY_A_PLAY = (
    0.01  # of a play; of 9,271 sentences and last parts 64 are plays by both, and none of those had less than .026
)
_RESTS_AFTER_S = 60.0


BY_MEANING: list[Callable[[], None]] = []  # empty the caches of judgements that a model makes better


class _Meaning:
    encode: Encode | None = None
    rest: asyncio.TimerHandle | None = None
    failed = False


def read_meaning() -> None:
    """From now on this process judges by meaning, too. It takes .3 s and 100 MB, at the first call. Raises
    `ConfigError` if the packaged model is missing or broken."""
    if _Meaning.encode is None:
        _Meaning.encode = local_model(MULTILINGUAL)
        for cache_clear in BY_MEANING:
            cache_clear()


async def judging(work: Callable[[], T]) -> T:
    """The result of `work`, in a thread that judges by meaning, or by words alone if that is not possible. A minute
    after the last call, the memory for this is freed."""
    _rest_by(None)
    try:
        if _Meaning.encode is None:
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
    found = _by_words(sentence)
    if 1 - sum(found[label] for label in _NOT_ONE) >= _HOPELESS:
        found = with_meaning(found, sentence, _MEANING)
    kinds = {label: each for label, each in found.items() if label not in _NOT_ONE}
    sure = sum(kinds.values())
    if kinds.get(_LASTING, 0.0) < sure / 2:  # it would stand in every block
        kinds.pop(_LASTING, None)
    return Judgement(max(kinds, key=lambda label: kinds[label]), sure, found["play"])


def may_be_play(text: str) -> bool:
    """Whether meaning could make a play of it: asked first, because reading the meaning takes milliseconds."""
    return _by_words(text)["play"] >= _HARDLY_A_PLAY


@lru_cache(maxsize=1024)
def _by_words(sentence: str) -> dict[str, float]:
    return packaged(_WORDS, _BY_TABLES).probabilities(sentence)


def with_meaning(by_words: dict[str, float], sentence: str, weights: Path) -> dict[str, float]:
    """`by_words` alone, in a process that does not read meaning, and while a file of weights cannot be read."""
    meaning = packaged(weights, {})
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


def judge_beginning(sentence: str, least: float = 1.0) -> Judgement:
    """The judgement of the sentence, or of the words before one of its commas if that is surer: "I'm vegan, what can
    I eat"; of the first that is so sure as `least`. Words before the colon of a question are a topic or an order."""
    asks = sentence.rstrip().endswith(ASKS)
    found = (each for each in PART_ENDS.finditer(sentence) if not (asks and each[0].strip() in (":", "：")))
    ends = [each.start() for each in found if each.start() >= SHORTEST]
    best = _NOTHING
    for text in (*(() if asks else (sentence,)), *(sentence[:end] for end in ends[:4])):
        if best.sure < least:
            best = max(best, judge(text), key=lambda each: each.sure)
    return best


BY_MEANING += [judge.cache_clear, _vector.cache_clear]
