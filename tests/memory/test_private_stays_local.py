"""What is private is told to models on the operator's own machines only: what is marked, a scope, or a subject."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rememberd.errors import ConfigError
from rememberd.memory.safety.privacy import CLASSES, Privacy
from rememberd.settings.schema import load
from rememberd.types import Memory, Principal, Space
from rememberd.upstream.catalog import Catalog, defaults
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import KEYS, Proxy, ask, entry, eventually, memories, remembered
from tests.support.tables import each_row

ANYONE = Principal("anyone", "ann")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """`away` and `home` are models elsewhere and here, `mixed` is both, `falls` is here and falls back to elsewhere,
    `mute` is to know nothing."""
    here: dict[str, Any] = {"local": True}
    others = [
        entry("home", "openai/home", upstream.url, **here),
        entry("mixed", "openai/mixed", upstream.url, **here),
        entry("mixed", "openai/mixed", upstream.url),
        entry("falls", "openai/falls", upstream.url) | here,
        entry("mute", "openai/mute", upstream.url, memory="off"),
    ]
    with running_here(
        tmp_path_factory.mktemp("own"),
        {"away": upstream.url},
        others=others,
        keys=KEYS,
        fallbacks=[{"falls": ["away"]}],
        memory={"deadline_ms": 5000, "private_scopes": ["diary"], "private_classes": ["health", "money"]},
    ) as proxy:
        yield proxy


def sent(upstream: FakeModel) -> str:
    """What the model got last."""
    return str(upstream.chats[-1].json["messages"][-1]["content"])


def add(client: httpx.Client, text: str, **fields: Any) -> dict[str, Any]:
    reply = client.post("/v1/memories", json={"text": text} | fields)
    found: dict[str, Any] = reply.raise_for_status().json()
    return found


@pytest.mark.parametrize(("model", "told"), [("home", True), ("away", False), ("mixed", False), ("falls", False)])
def test_a_marked_memory_is_told_only_where_all_who_may_answer_are_local(
    own: Proxy, upstream: FakeModel, user: str, model: str, told: bool
) -> None:
    """Several deployments of a name and fallbacks included; what is not private is told to all."""
    with own.client(user) as client:
        assert add(client, "My cat is called Zelda.")["private"] is False
        assert add(client, "My cat has a secret name, Zorro.", private=True)["private"] is True
        for _ in range(2):  # both of those that take turns
            assert ask(client, "What is my cat called?", model).headers["x-memory-status"] == "hit"
            assert "Zelda" in sent(upstream)
            assert ("Zorro" in sent(upstream)) is told


def test_the_same_question_to_another_model_does_not_get_the_kept_block(
    own: Proxy, upstream: FakeModel, user: str
) -> None:
    """This holds even within a tool loop, which otherwise repeats its block."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "What is my cat called?"}]
    called = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    loop = [{"role": "assistant", "tool_calls": [called]}, {"role": "tool", "tool_call_id": "c", "content": "x"}]
    with own.client(user) as client:
        add(client, "My cat is called Zorro.", private=True)
        for model, steps, told in (
            ("home", [], True),
            ("home", loop, True),
            ("away", loop, False),
            ("away", [], False),
            ("home", loop, True),
        ):
            client.post("/v1/chat/completions", json={"model": model, "messages": messages + steps})
            assert ("Zorro" in upstream.chats[-1].raw.decode()) is told, (model, steps)


def test_marking_a_fact_marks_where_it_was_said(own: Proxy, upstream: FakeModel, user: str) -> None:
    """The exchange holds the same words; what is said of it later, and what a local model answers with it, too.
    Taking the mark away takes it from all."""
    with own.client(user) as client:
        ask(client, "My cat is called Zorro.", "home")
        fact = remembered(client, "Zorro", "fact")
        remembered(client, "Zorro", "episode")
        client.patch(f"/v1/memories/{fact['id']}", json={"private": True}).raise_for_status()
        assert {memory["private"] for memory in memories(client)} == {True}
        upstream.script(Behaviour(answer="He was named after a fox."))
        ask(client, "Whom did I name my cat after?", "home")
        eventually(lambda: [m["private"] for m in memories(client) if "fox" in m["text"]] == [True])
        ask(client, "My cat is called Zorro.", "home", temperature=0)
        ask(client, "What is my cat called?", "away")
        assert "Zorro" not in sent(upstream)
        assert "fox" not in sent(upstream)
        client.patch(f"/v1/memories/{fact['id']}", json={"private": False}).raise_for_status()
        ask(client, "What is my cat called?", "away")
        assert "Zorro" in sent(upstream)


@pytest.mark.parametrize("question", ["What should I eat?", "What do you know about me?"])
def test_what_is_about_a_private_subject_stays_without_a_mark(
    own: Proxy, upstream: FakeModel, user: str, question: str
) -> None:
    """Facts, exchanges, and the list of all that is known; it makes room for what may be told."""
    with own.client(user) as client:
        ask(client, "I have diabetes.", "home")
        add(client, "I eat no meat.", pinned=True)
        add(client, "I earn 5000 a month.", pinned=True)
        remembered(client, "diabetes", "fact")
        ask(client, question, "home")
        assert "diabetes" in sent(upstream)
        ask(client, question, "away")
        assert "no meat" in sent(upstream)
        assert "diabetes" not in sent(upstream)
        assert "5000" not in sent(upstream)


def test_a_private_scope_is_told_to_local_models_only(own: Proxy, upstream: FakeModel, user: str) -> None:
    """A memory in a private scope is private, whatever it is about."""
    with own.client(user, **{"X-Memory-Scope": "diary"}) as client:
        add(client, "My boat is called Zephyr.", pinned=True)
        ask(client, "What is my boat called?", "home")
        assert "Zephyr" in sent(upstream)
        assert ask(client, "What is my boat called?", "away").headers["x-memory-status"] == "miss"
        assert "Zephyr" not in sent(upstream)


def test_a_model_without_memory_is_told_nothing_and_leaves_nothing(
    own: Proxy, upstream: FakeModel, user: str
) -> None:
    """As with `X-Memory: off`, whatever the client asks for."""
    with own.client(user, **{"X-Memory": "on"}) as client:
        add(client, "My cat is called Zelda.")
        reply = ask(client, "What is my cat called? My dog is called Bello.", "mute")
        assert reply.headers["x-memory-status"] == "off"
        assert reply.headers["x-memory-write"] == "off"
        assert "Zelda" not in sent(upstream)
        ask(client, "I live in Ghent.", "away")
        remembered(client, "Ghent")
        assert not [memory for memory in memories(client) if "Bello" in memory["text"]]


@pytest.mark.slow
def test_a_model_elsewhere_does_not_read_private_turns_to_learn_from_them(
    tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel
) -> None:
    """`extract.model` gets the others."""
    with running_here(
        tmp_path_factory.mktemp("extracts"),
        {"away": upstream.url},
        keys=KEYS,
        memory={
            "deadline_ms": 5000,
            "private_classes": ["health"],
            "extract": {"model": "away", "idle_seconds": 1},
        },
    ) as proxy:
        with proxy.client("ann") as client:
            ask(client, "I have had asthma since I was a child, and my sister Zoe too.", "away")
            ask(client, "I have a sister who is called Ada and lives in Ghent.", "away")
        asked = eventually(lambda: [r.raw for r in upstream.requests if b"facts" in r.raw and b"Ghent" in r.raw])
    assert not [raw for raw in asked if b"asthma" in raw]
    assert not [r.raw for r in upstream.requests if b"response_format" in r.raw and b"asthma" in r.raw]


def catalog(*entries: dict[str, Any]) -> Catalog:
    return Catalog([{"model_name": "m", "litellm_params": {"model": "openai/m"}} | each for each in entries], {})


def test_local_is_said_beside_the_model_or_in_its_info_and_never_guessed() -> None:
    """An address on this machine may well be a tunnel to another; `off` may be YAML's false."""
    for written, local in (({"local": True}, True), ({"model_info": {"local": True}}, True), ({}, False)):
        assert catalog(written).targets("m", ANYONE)[0].local is local
    base = {"litellm_params": {"model": "openai/m", "api_base": "http://127.0.0.1:1/v1"}}
    assert catalog(base).targets("m", ANYONE)[0].local is False
    for off in (False, "off"):
        assert catalog({"model_info": {"memory": off}}).targets("m", ANYONE)[0].memory is False
    with pytest.raises(ConfigError, match="'yes' is neither"):
        catalog({"local": "yes"})


@pytest.mark.parametrize(
    ("address", "local"), [("", True), ("http://127.0.0.1:11434", True), ("http://gpu.example:11434", False)]
)
def test_an_ollama_that_was_found_here_is_local(address: str, local: bool) -> None:
    """One that the environment names elsewhere is not."""
    environ = {"OLLAMA_API_BASE": address} if address else {}
    found = Catalog(defaults(environ, ["llama"]), environ)
    assert found.resolve("llama").local is local


SUBJECTS = [
    ("health", "I have type 1 diabetes."),
    ("health", "My therapist says I should sleep more."),
    ("health", "I'm pregnant."),
    ("health", "I am HIV-positive."),
    ("sexuality", "I am non-binary."),
    ("health", "I am allergic to peanuts."),
    ("health", "Ich bin schwanger."),
    ("health", "My doctor prescribed me something new."),
    ("religion", "I'm Catholic."),
    ("religion", "I pray every morning."),
    ("religion", "I only eat halal."),
    ("politics", "I voted for the Greens."),
    ("politics", "I am a trade union member."),
    ("sexuality", "I'm gay."),
    ("sexuality", "I came out as transgender."),
    ("ethnicity", "We came here as refugees."),
    ("money", "My salary is 80,000."),
    ("money", "We have a large mortgage."),
    ("crime", "I was arrested in 2012."),
    ("crime", "My brother is in prison."),
    (None, "I live in Oslo."),
    (None, "My dog is called Bello."),
    (None, "I work at Globex as an engineer."),
    (None, "I prefer tea to coffee."),
    (None, "My daughter starts school in August."),
    (None, "I play the zither in an orchestra."),
    (None, "I use Neovim and Python 3.12."),
    (None, "We fly to Lisbon on 3 May."),
    (None, "I gave a talk about parsers."),
    (None, "I sail on weekends."),
]


@each_row(("subject", "text"), SUBJECTS)
def test_subjects_are_known_by_their_words(subject: str | None, text: str) -> None:
    """Each by its own table, and what is everyday by none."""
    memory = Memory("m", text, "fact", 1, 1, 1)
    for name in CLASSES:
        kept = Privacy(classes=[name]).keeps(Space("ann"), memory)
        assert kept is (name == subject), name


def test_an_unknown_subject_is_refused(tmp_path: Any) -> None:
    """A typing error must not let things out."""
    path = tmp_path / "rememberd.yaml"
    path.write_text("memory: {private_classes: [heath]}\n")
    with pytest.raises(ConfigError, match="'heath' is not one of health"):
        load(path, {})
