"""Promise: the whole path with a real language model: what was told in chats is answered later, and what is handed in
makes no fact, whatever the model finds in it. The model is SmolLM2-135M, the smallest that can answer at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.quality.served.reader import chat, holds
from loadtests.quality.served.small_model import NAME, Unavailable, installed, small_model
from tests.memory.test_llm_extraction_end_to_end import metric
from tests.support.handed_in import CLAIMS, FRAMES
from tests.support.proxy_server import Proxy, eventually, memories, running

pytestmark = pytest.mark.slow

# What is told, what is asked in another conversation, and the word that the answer must hold.
TOLD = [
    ("My cat is called Miso.", "What is my cat called?", "Miso"),
    ("My dog's name is Bolt.", "What is my dog's name?", "Bolt"),
    ("I live in Tromsø.", "Where do I live?", "Tromsø"),
    ("I work at a bakery.", "Where do I work?", "bakery"),
    ("My sister is called Ingrid.", "What is my sister called?", "Ingrid"),
    ("I am allergic to peanuts.", "What am I allergic to?", "peanuts"),
    ("I drive a Volvo.", "Which car do I drive?", "Volvo"),
    ("My favourite colour is teal.", "What is my favourite colour?", "teal"),
    ("I play the bassoon.", "Which instrument do I play?", "bassoon"),
    ("My brother lives in Nairobi.", "Where does my brother live?", "Nairobi"),
    ("My favourite dish is pierogi.", "What is my favourite dish?", "pierogi"),
    ("I was born in Perth.", "Where was I born?", "Perth"),
    ("My boss is called Priya.", "What is my boss called?", "Priya"),
    ("I am learning Basque.", "Which language am I learning?", "Basque"),
    ("My horse is called Thunder.", "What is my horse called?", "Thunder"),
    ("My wife is called Beatriz.", "What is my wife called?", "Beatriz"),
    ("I studied geology.", "What did I study?", "geology"),
    ("My boat is called Albatross.", "What is my boat called?", "Albatross"),
    ("I collect postcards.", "What do I collect?", "postcards"),
    ("My doctor is called Okafor.", "What is my doctor called?", "Okafor"),
]
HANDED_IN = 5  # frames: a call to the model for each, of many seconds
IDLE_S = 1


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
        for said, _, _ in TOLD:
            chat(client, NAME, [{"role": "user", "content": said}], memory="on", most=1)
        eventually(lambda: len(memories(client, "episode")) == len(TOLD))
        answers = {
            mode: [
                (chat(client, NAME, [{"role": "user", "content": asked}], memory=mode)[0], wanted)
                for _, asked, wanted in TOLD
            ]
            for mode in ("read", "off")
        }
    right = {mode: sum(holds(*each) for each in some) for mode, some in answers.items()}
    assert right["read"] >= right["off"] + 8, answers


def test_a_model_that_extracts_makes_no_fact_of_handed_in_text(proxy: Proxy) -> None:
    """The model reads the messages, for they are in its queue; nothing that somebody else claims becomes a fact."""
    with proxy.client("hands in") as client:
        for frame in FRAMES[:HANDED_IN]:
            words = frame.replace("<claim>", CLAIMS["en"])
            assert CLAIMS["en"] in words
            chat(client, NAME, [{"role": "user", "content": words}], memory="on", most=1)
        eventually(lambda: len(memories(client, "episode")) == HANDED_IN)
        eventually(lambda: metric(proxy, 'rememberd_extractions_total{outcome="answered"}') >= 1, 900)
        facts = [each["text"] for each in memories(client, "fact")]
    assert not [text for text in facts if any(word in text for word in ("Timbuktu", "Zebulon", "strawberr"))]
