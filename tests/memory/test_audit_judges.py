"""The audit names what is wrong with a person's memories, and repairs only what is safe, once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rememberd.memory.audit import DAY_MS, Usage, judge
from rememberd.memory.audit_repair import repair, write
from rememberd.memory.embedding.indexing import to_point
from rememberd.types import Evidence, Memory, Space
from tests.support.fakes import EmbedderFake, MemoryStoreFake
from tests.support.tables import each_row

NOW = 1_750_000_000_000
ADA = Space("ada")
KEY = "sk-proj-" + "a1B2c3D4" * 6


def memory(id: str, text: str, days_ago: float = 1, **fields: Any) -> Memory:
    at = NOW - int(days_ago * DAY_MS)
    return replace(Memory(id, text, "fact", at, at, at), **fields)


def complaints(*memories: Memory, usage: Usage | None = None) -> list[tuple[str, str]]:
    return [(each.complaint, each.memory.id) for each in judge(memories, NOW, usage)]


@each_row(
    ("complaint", "text"),
    [
        ("junk", "So it is."),
        ("junk", "Do I like tea?"),
        ("junk", "Write a poem about my cat."),
        ("junk", "Please summarise the text I sent."),
        ("junk", "I like tea and " + "coffee and " * 40 + "milk."),
        ("junk", "<environment_context><cwd>/src</cwd></environment_context> I like tea."),
        ("secret", f"My key is {KEY}."),
        ("stale", "I have a dentist's appointment tomorrow."),
        ("stale", "We are eating pizza tonight."),
    ],
)
def test_a_bad_fact_is_named(complaint: str, text: str) -> None:
    """For what it is, and for that alone."""
    assert complaints(memory("bad", text, days_ago=40)) == [(complaint, "bad")]


@each_row(
    "text",
    [
        "I live in Oslo.",
        "I always want metric units.",
        "I write novels.",
        "My name is Will.",
        "I moved to Oslo last month.",
        "I work as a translator.",
        "Jeg bor i Tromsø.",
        "我住在北京",
        "I'm allergic to peanuts.",
    ],
)
def test_a_good_fact_is_left_alone(text: str) -> None:
    """This holds for an old fact, too."""
    assert complaints(memory("good", text, days_ago=400)) == []


def test_small_talk_and_boilerplate_are_junk_among_exchanges() -> None:
    """A question is not junk: what was asked is worth knowing."""
    said = ["ok thanks!", "<system-reminder>be brief</system-reminder> hi", "Which wine goes with lamb?", "👍"]
    episodes = [memory(text, f"User: {text}\nAssistant: Sure.", kind="episode") for text in said]
    assert complaints(*episodes) == [("junk", said[0]), ("junk", said[1]), ("junk", said[3])]


def test_a_pinned_memory_is_no_junk() -> None:
    """What a person pinned is not junk: somebody wanted it."""
    assert complaints(memory("pinned", "Do I like tea?", 400, pinned=True)) == []


def test_opposites_are_named_and_not_repaired() -> None:
    """Which of them holds is for a person to say; the older one is shown with the newer."""
    yes, no = memory("yes", "I like tea.", 9), memory("no", "I don't like tea.", 3)
    (finding,) = judge([yes, no], NOW)
    assert (finding.complaint, finding.memory.id, finding.other, finding.safe) == (
        "contradiction",
        "yes",
        "no",
        False,
    )
    assert repair([yes, no], NOW).repairs == []


def test_what_no_answer_used_is_named_once_receipts_reach_back() -> None:
    """Memories that are young, pinned or used are not reported as unused. Nothing is reported while all receipts are
    young."""
    old, used, pinned = (memory(id, f"I like {id}.", 50) for id in ("old", "used", "pinned"))
    young = memory("young", "I like young.", 2)
    everything = (old, used, replace(pinned, pinned=True), young)
    assert complaints(*everything, usage=Usage(NOW - 30 * DAY_MS, frozenset({"used"}))) == [("unused", "old")]
    assert complaints(*everything, usage=Usage(NOW - 3 * DAY_MS, frozenset({"used"}))) == []
    assert complaints(*everything) == []


def test_the_past_is_history_not_a_fault() -> None:
    """A closed value beside the current one is as it should be; a secret in it is not."""
    closed = memory("closed", "I live in Oslo.", 9, slot="home", valid_to=NOW - DAY_MS)
    assert complaints(closed, memory("home", "I live in Rome.", 1, slot="home")) == []
    assert complaints(replace(closed, text=f"My key is {KEY}.")) == [("secret", "closed")]


def test_duplicates_become_one() -> None:
    """The pinned one stays, else the one that lives longest, else the oldest; with the first and last time."""
    first = memory("first", "I like tea.", 9, expires_at=NOW + DAY_MS)
    other_words = memory("other", "I really love tea!", 5)
    again = memory("again", "i like TEA", 3)
    mended = repair([first, other_words, again], NOW)
    (kept,) = mended.memories
    assert (kept.id, kept.expires_at) == ("other", None)
    assert (kept.created_at, kept.updated_at) == (first.created_at, again.updated_at)
    (pinned,) = repair([first, other_words, replace(again, pinned=True)], NOW).memories
    assert pinned.id == "again"


def test_exchanges_and_scattered_words_are_no_duplicates() -> None:
    """The same exchange on two days happened twice; the same words in another order say something else."""
    twice = [memory(f"e{n}", "User: I ran today.", n + 1, kind="episode") for n in range(2)]
    facts = [memory("a", "I moved from Rome to Oslo."), memory("b", "I moved from Oslo to Rome.")]
    assert repair([*twice, *facts], NOW).repairs == []


def test_the_older_of_two_values_is_closed_when_the_newer_began() -> None:
    """The older value stays in the history."""
    older, newer = memory("a", "I live in Oslo.", 9, slot="home"), memory("b", "I live in Rome.", 3, slot="home")
    mended = repair([newer, older], NOW)
    assert mended.changed == [replace(older, valid_to=newer.valid_from)]
    assert mended.gone == []


def test_a_secret_is_redacted_in_text_and_evidence() -> None:
    """The rest of the sentence stays."""
    told = memory("a", f"My key is {KEY} for work.", evidence=Evidence(f"my key is {KEY}", "user", "t"))
    (kept,) = repair([told], NOW).changed
    assert KEY not in repr(kept)
    assert kept.text.startswith("My key is [redacted")
    assert kept.text.endswith("for work.")


_TEXTS = ("I like tea.", "I love tea", "I don't like tea.", "I live in Oslo.", "I live in Rome.", f"My key is {KEY}.",
          "My key is [redacted: OpenAI key].", "…", "Do I like tea?")  # fmt: skip
_memories = st.lists(
    st.builds(
        lambda text, days, fields: memory("", text, days, **fields),
        st.sampled_from(_TEXTS),
        st.integers(0, 60),
        st.fixed_dictionaries(
            {},
            optional={
                "slot": st.sampled_from(["home", "name"]),
                "pinned": st.booleans(),
                "expires_at": st.sampled_from([NOW - 1, NOW + 1]),
                "valid_to": st.just(NOW - DAY_MS),
            },
        ),
    ),
    max_size=8,
).map(lambda found: [replace(each, id=f"m{n}") for n, each in enumerate(found)])


@given(_memories)
def test_repairing_twice_changes_nothing_the_second_time(memories: list[Memory]) -> None:
    """Whatever was there; nothing that is safe to repair is left, and the judge says so."""
    once = repair(memories, NOW)
    again = repair(once.memories, NOW)
    assert (again.changed, again.gone, again.repairs) == ([], [], [])
    assert not [each for each in judge(once.memories, NOW) if each.safe]


async def test_what_changed_meanwhile_is_left_as_it_is() -> None:
    """The user spoke while the audit read: theirs stands, the rest is repaired."""
    store, embedder = MemoryStoreFake(), EmbedderFake()
    read = [memory("a", "I like tea.", 9), memory("b", "I love tea.", 3), memory("old", "I ski.", 3, expires_at=NOW)]
    edited = replace(read[1], text="I love green tea.")
    await store.put(ADA, [await to_point(each, embedder) for each in (read[0], edited, read[2])])
    repairs = await write(store, embedder, ADA, read, repair(read, NOW))
    assert [each.memory.id for each in repairs] == ["old"]
    assert {each.text for each in store.memories(ADA)} == {"I like tea.", "I love green tea."}


def test_in_a_group_nothing_is_wrong_with_what_two_members_say_alike_or_otherwise() -> None:
    """Each has a home and tastes of their own; a repair takes nothing of either."""
    said = [
        memory("a1", "I live in Oslo.", slot="home", contributor="ada"),
        memory("b1", "I live in Bergen.", slot="home", contributor="bob"),
        memory("a2", "I like olives.", contributor="ada"),
        memory("b2", "I like olives.", contributor="bob"),
        memory("c2", "I don't like olives.", contributor="cleo"),
    ]
    assert complaints(*said) == []
    assert repair(said, NOW).memories == said
    again = memory("a3", "I like olives!", contributor="ada")
    assert complaints(*said, again) == [("duplicate", "a2")] or complaints(*said, again) == [("duplicate", "a3")]
