"""Promise: the whole path with a real language model: what was told in chats is answered later, and what is handed in
makes no fact, whatever the model finds in it. The model is SmolLM2-135M, the smallest that can answer at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.quality.datasets import synthetic
from loadtests.quality.served import memrank
from loadtests.quality.served.reader import accuracy, chat, holds, read, served
from loadtests.quality.served.small_model import NAME, Unavailable, installed, small_model
from loadtests.quality.served.told import TOLD
from tests.memory.test_llm_extraction_end_to_end import metric
from tests.support.handed_in import AROUND, CLAIMS
from tests.support.proxy_server import Proxy, eventually, memories, running

pytestmark = pytest.mark.slow

HANDED_IN = 3  # messages: a call to the model for each, of many seconds
READ, OUTCOMES = 'rememberd_extractions_total{{outcome="{}"}}', ("answered", "retried", "dead")
IDLE_S = 1
HISTORY_TOKENS = 2000  # of 6,661: reading more takes a small model minutes on a busy machine


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API base of a real model."""
    try:
        with small_model(installed(tmp_path_factory.mktemp("model") / "packages")) as url:
            yield url
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def proxy(tmp_path: Path, base: str) -> Iterator[Proxy]:
    extract = {"model": NAME, "idle_seconds": IDLE_S, "timeout_seconds": 600}
    with running(tmp_path, {NAME: base}, memory={"deadline_ms": 5000, "extract": extract}) as proxy:
        yield proxy


def test_a_model_with_memory_answers_what_it_cannot_know_without(tmp_path: Path, base: str) -> None:
    """At least 8 more of 20 questions, each about something told in a conversation of its own."""
    with running(tmp_path, {NAME: base}) as proxy, proxy.client("told") as client:
        for each in TOLD:
            chat(client, NAME, [{"role": "user", "content": each.said}], memory="on", most=1)
        eventually(lambda: len(memories(client, "episode")) == len(TOLD))
        answers = {
            mode: [
                (chat(client, NAME, [{"role": "user", "content": each.asked}], memory=mode)[0], each.answer)
                for each in TOLD
            ]
            for mode in ("read", "off")
        }
    right = {mode: sum(holds(*each) for each in some) for mode, some in answers.items()}
    assert right["read"] >= right["off"] + 8, answers


def test_a_reader_knows_more_with_memory(tmp_path: Path, base: str) -> None:
    """One person of the synthetic set, 12 questions: memory on, off, and the end of the history in the prompt."""
    with served(tmp_path / "proxy", base, NAME) as url:
        figures = accuracy(read(url, NAME, synthetic.load()[:1], lambda _: None, HISTORY_TOKENS))
    assert [each["questions"] for each in figures.values()] == [12, 12, 12]
    assert figures["memory on"]["right"] >= figures["memory off"]["right"] + 25, figures
    assert figures["memory on"]["tokens"] * 5 < figures["full history"]["tokens"], figures


def test_memrank_runs_against_the_proxy(tmp_path: Path, base: str) -> None:
    """The whole of its protocol: its check that people are kept apart, what is fed, what is asked, the grades. Every
    question is answered, and one or more rightly: without memory this model answers none."""
    try:
        packages = memrank.installed(tmp_path / "memrank")
    except Unavailable as reason:
        pytest.skip(str(reason))
    with served(tmp_path / "proxy", base, NAME) as url:
        result = memrank.ranked(packages, tmp_path / "run", url, NAME, [TOLD[:2], TOLD[2:4]])
    assert (result["status"], result["judged"]) == ("complete", True)
    assert (result["questions"], result["failed"], result["unjudged"]) == (4, 0, 0)
    questions = [each for case in result["cases"] for each in case["questions"]]
    assert len(questions) == 4
    assert all(each["answer"] for each in questions), questions
    assert result["score"]["mean"] >= 0.25, questions


def test_a_model_that_extracts_makes_no_fact_of_handed_in_text(proxy: Proxy) -> None:
    """Each message holds words of the person, which the model reads, around those of somebody else."""
    with proxy.client("hands in") as client:
        for frame in AROUND[:HANDED_IN]:
            words = frame.format(own="I have two dogs and I work as a nurse.", other=CLAIMS["en"])
            chat(client, NAME, [{"role": "user", "content": words}], memory="on", most=1)
        eventually(lambda: len(memories(client, "episode")) == HANDED_IN)
        # A real model may answer with what is no JSON; that counts as read.
        eventually(lambda: sum(metric(proxy, READ.format(each)) for each in OUTCOMES) >= HANDED_IN, 900)
        facts = [each["text"] for each in memories(client, "fact")]
    assert not [text for text in facts if any(word in text for word in ("Timbuktu", "Zebulon", "strawberr"))]
