"""Each part of the score decides between memories that are otherwise alike, and the packing keeps its promises."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.block import FRAME_COST, HEADER_COST
from rememberd.memory.recall.budget import pack
from rememberd.memory.recall.names import named
from rememberd.memory.recall.rank import Feature, features, rank
from rememberd.search_results import Candidate, Candidates
from rememberd.types import Memory
from tests.support.fakes import EmbedderFake
from tests.support.tables import each_row

MAY = int(datetime(2025, 5, 8, 13, tzinfo=UTC).timestamp() * 1000)
NOW = MAY + 200 * 86_400_000
MINUTE = 60_000
PLAIN = Candidate(
    id="plain", dense=0.4, bm25=2.0, kind="episode", at=MAY, tokens=20, cues=0, pinned=False,
    slot=None, speaker=None, conversation=None, turn_id=None,
)  # fmt: skip


def first(question: str, *found: Candidate) -> str:
    """The best, the same whichever way the store returned them."""
    best = ranked(question, found)[0]
    assert ranked(question, found[::-1])[0] == best
    return best


def ranked(question: str, found: Sequence[Candidate]) -> list[str]:
    return rank(question, Candidates.of(found), NOW).names()


def packed(found: Sequence[Candidate], budget_tokens: int) -> tuple[list[str], int]:
    return pack(Candidates.of(found), budget_tokens)


@each_row(
    ("question", "better"),
    [
        ("Where do I live?", PLAIN._replace(dense=0.5)),
        ("Where do I live?", PLAIN._replace(bm25=3.0)),
        ("Where do I live?", PLAIN._replace(kind="fact")),
        ("Where do I live?", PLAIN._replace(cues=int(Feature.TELLS))),
        ("When did I move?", PLAIN._replace(cues=int(Feature.TIME))),
        ("How long was it?", PLAIN._replace(cues=int(Feature.TIME))),
        ("What did I do in May 2024?", PLAIN._replace(at=MAY - 365 * 24 * 60 * MINUTE)),
        ("What did I do in April 2025?", PLAIN._replace(at=MAY - 20 * 24 * 60 * MINUTE)),
    ],
)  # fmt: skip
def test_a_sign_lifts_a_memory(question: str, better: Candidate) -> None:
    """Meaning, words, being a fact, telling what happened, a time for "when", the days named."""
    assert first(question, better._replace(id="z better"), PLAIN) == "z better"


def test_a_question_is_no_answer() -> None:
    """Of two alike the statement comes before the question."""
    assert first("Where do I live?", PLAIN._replace(id="a", cues=int(Feature.ASKS)), PLAIN) == "plain"


def test_a_common_word_alone_counts_little() -> None:
    """Where the best by words has only a common one of the question ("dónde"), meaning decides."""
    word = PLAIN._replace(id="word", dense=0.45, bm25=0.4)
    assert first("¿Dónde trabajo?", word, PLAIN._replace(dense=0.6, bm25=0.0)) == "plain"


def test_a_stray_word_is_no_meaning() -> None:
    """What shares a word with the question but hardly any meaning comes after what means a little of it."""
    word = PLAIN._replace(id="word", dense=0.02, bm25=2.0)
    assert first("Where do I live?", word, PLAIN._replace(dense=0.12, bm25=1.3)) == "plain"


@each_row(
    ("text", "tells"),
    [
        ("Last week we finally moved to Bergen.", True),
        ("I got a parrot", True),
        ("You moved to Bergen?", False),
        ("I like parrots", False),
    ],
)
def test_what_happened_to_the_speaker_is_seen(text: str, tells: bool) -> None:
    """Only something that the speaker, or the speaker and others, did or met with is told."""
    assert (Feature.TELLS in features(text)) == tells


def test_time_words_count_only_when_asked() -> None:
    """A question that does not ask when is not drawn to dates: the tie falls by id."""
    assert first("Where do I live?", PLAIN._replace(id="z", cues=int(Feature.TIME)), PLAIN) == "plain"


def test_the_speaker_named_comes_first() -> None:
    """A name in the question lifts that speaker and lowers the others; two names do neither."""
    ada, bo = PLAIN._replace(id="ada", speaker="Ada"), PLAIN._replace(id="bo", speaker="Bo")
    assert first("Where does Bo live?", ada, bo) == "bo"
    assert first("Where do Ada and Bo live?", ada, bo) == "ada"


def test_a_good_match_lifts_its_conversation() -> None:
    """What was said in the conversation of the best match comes before what was said elsewhere."""
    hit = PLAIN._replace(id="hit", dense=0.9, conversation="trip")
    same = PLAIN._replace(id="z same", conversation="trip", at=MAY + 60 * MINUTE)
    between = PLAIN._replace(id="between", dense=0.0, bm25=0.0, conversation="trip", at=MAY + 30 * MINUTE)
    other = PLAIN._replace(id="other", conversation="work")
    order = ranked("Where?", [other, same, hit, between])
    assert order.index("z same") < order.index("other")


def test_a_good_match_lifts_the_turns_beside_it() -> None:
    """Within a conversation the neighbours of the best match come before the rest."""
    talk = [PLAIN._replace(id=f"{9 - n}", at=MAY + n * MINUTE, conversation="c") for n in range(7)]
    talk[3] = talk[3]._replace(dense=0.9)
    order = ranked("Where?", talk)
    assert order[0] == talk[3].id
    assert set(order[1:3]) == {talk[2].id, talk[4].id}


@each_row("of_its_own", (False, True))
def test_exchanges_without_a_conversation_are_beside_each_other_if_they_came_soon(of_its_own: bool) -> None:
    """Most clients send no conversation, some a new one for each message; what was said within minutes of the best
    match belongs to it."""
    hit = PLAIN._replace(id="hit", dense=0.9, turn_id="t0")
    soon = PLAIN._replace(id="z soon", turn_id="t1", at=MAY + 5 * MINUTE)
    later = PLAIN._replace(id="later", turn_id="t2", at=MAY + 90 * MINUTE)
    same_instant = PLAIN._replace(id="a imported without a time", turn_id="t3", at=MAY + 90 * MINUTE)
    all_ = [later, soon, hit, same_instant]
    if of_its_own:
        all_ = [each._replace(conversation=f"of {each.id}") for each in all_]
    assert ranked("Where?", all_)[:2] == ["hit", "z soon"]
    of_no_turn = [each._replace(turn_id=None) for each in all_]
    assert ranked("Where?", of_no_turn)[-1] == "z soon"


def test_a_conversation_with_other_turns_is_not_beside_what_came_soon() -> None:
    """Two talks at once stay apart."""
    hit = PLAIN._replace(id="hit", dense=0.9, turn_id="t0", conversation="one")
    more = PLAIN._replace(id="more", turn_id="t1", conversation="one", dense=0.0, bm25=0.0, at=MAY - 90 * MINUTE)
    soon = PLAIN._replace(id="z soon", turn_id="t2", conversation="other", at=MAY + MINUTE)
    later = PLAIN._replace(id="later", turn_id="t3", conversation="another", at=MAY + 90 * MINUTE)
    assert ranked("Where?", [later, soon, hit, more])[1:3] == ["later", "z soon"]


def test_the_answer_to_another_speakers_question_is_lifted_most() -> None:
    """In a dialogue the turn after a matching question holds the answer."""
    before = PLAIN._replace(id="a before", speaker="Bo", conversation="c", at=MAY)
    asked = PLAIN._replace(id="asked", speaker="Ada", conversation="c", at=MAY + 1, dense=0.8, cues=int(Feature.ASKS))
    answer = PLAIN._replace(id="z answer", speaker="Bo", conversation="c", at=MAY + 2)
    order = ranked("Where?", [before, asked, answer])
    assert order == ["asked", "z answer", "a before"]


def test_cues_are_read_from_the_text() -> None:
    """Time words and a closing question mark, each by itself."""
    assert features("The move is tomorrow.") == Feature.TIME
    assert features("你在哪里？") == Feature.ASKS
    assert features("I like tea.") == Feature(0)


async def test_the_date_can_be_asked_for_in_words() -> None:
    """The day a memory was told is among its words, though not in its text."""
    memory = Memory("m", "I ran.", "fact", MAY, MAY, MAY)
    point = await to_point(memory, EmbedderFake())
    assert set(EmbedderFake().document("Thursday 8 May 2025").indices) <= set(point.sparse.indices)


def test_pinned_memories_are_packed_before_better_matches() -> None:
    """Whatever its rank, a pinned memory has the first claim on the room."""
    pinned = PLAIN._replace(id="pinned", pinned=True)
    room = FRAME_COST + HEADER_COST + PLAIN.tokens
    assert packed([PLAIN, pinned], room) == (["pinned"], room)


def test_nothing_is_packed_into_no_room() -> None:
    """A budget below the frame gives no block."""
    assert packed([PLAIN], 10) == ([], 0)


def test_the_nearer_to_the_days_named_the_better() -> None:
    """In the month, within two weeks of it, in the month after, any other time."""
    days = {"z in it": 0, "y two weeks": 10, "x month after": 30, "w later": 70}
    found = [PLAIN._replace(id=name, at=MAY + (20 + after) * 24 * 60 * MINUTE) for name, after in days.items()]
    order = ranked("What did I do in May 2025?", found)
    assert order == list(days)


def test_a_speaker_is_named_in_many_ways() -> None:
    """In full, by first name, misspelt or shortened; not by a word that begins a sentence or two people's names."""
    speakers = ["Melanie Ray", "Mohammed", "Samantha", "Samuel", "William"]
    rows: dict[str, dict[str, str]] = {
        "Where does Melanie Ray live?": {"Melanie Ray": "Melanie Ray"},
        "Where does melanie live?": {"Melanie Ray": "Melanie"},
        "Where does Muhammed live?": {"Mohammed": "Muhammed"},
        "Where does Mel live?": {"Melanie Ray": "Mel"},
        "What is Mel's dog called?": {"Melanie Ray": "Mel"},
        "Where does Sam live?": {},
        "Will it rain?": {},
        "Where does Me live?": {},
    }
    assert {question: named(question, speakers) for question in rows} == rows
