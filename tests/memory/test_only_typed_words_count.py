"""What a person hands in is told from what they type, whatever the shape, the language and the speaker."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rememberd.dialects.segments import segment
from rememberd.memory.recall.block import render
from tests.memory.test_block_is_plain_safe_text import episode
from tests.support.handed_in import TYPED, Message, around, handed_in, typed
from tests.support.rules_report import all_turns


def typed_text(text: str) -> str:
    return " ".join(each.text for each in segment(text).typed)


def shares(messages: Iterable[Message]) -> tuple[int, Counter[str], Counter[str]]:
    """All messages; by shape those of whose claim some words, or all words, count as typed."""
    total, some, whole = 0, Counter[str](), Counter[str]()
    for message in messages:
        words, mine = re.split(r"[\s。，、,.]+", message.claim), typed_text(message.text)
        total += 1
        some[message.shape] += any(word in mine for word in words if len(word) > 3)
        whole[message.shape] += message.claim in mine
    return total, some, whole


def test_nearly_nothing_that_is_handed_in_counts_as_typed() -> None:
    """Of more than 4,500 messages of 325 shapes in twelve languages at most one in a hundred."""
    total, some, _ = shares(handed_in())
    assert total > 4_500
    assert some.total() <= total / 100, some.most_common(20)


def test_nearly_all_that_a_person_types_counts_as_theirs() -> None:
    """Introductions, greetings and questions around it take nothing away: at least 97 of 100."""
    total, _, whole = shares(typed())
    assert total > 500
    assert whole.total() >= total * 0.97, [shape for shape, kept in whole.items() if kept < 12]


def test_the_person_speaks_again_where_the_marks_end() -> None:
    """Before, between and behind quotations, fences, elements and logs, in twelve languages: 97 of 100, and none of
    what the marks enclose."""
    messages = list(around())
    lost = [message.shape for message, _ in messages if message.claim not in typed_text(message.text)]
    taken = [message.shape for message, other in messages if other in typed_text(message.text)]
    assert len(lost) <= len(messages) * 0.03, Counter(lost)
    assert not taken, Counter(taken)


@pytest.mark.parametrize("quoted", ["“{}”", '"{}"', "„{}“", "«{}»", "「{}」"])
@pytest.mark.parametrize(
    "text", ["My wife is allergic to eggs.", "Wohnt in Gera.", "妻は卵アレルギーです。三人家族です。"]
)
def test_a_quoted_sentence_on_lines_of_its_own_is_handed_in(quoted: str, text: str) -> None:
    """Whoever it is about. A title there stays theirs."""
    around = "Answer this review, please.\n\n{}\nNot too long."
    assert text not in typed_text(around.format(quoted.format(text)))
    assert "Pale Moon" in typed_text(around.format(quoted.format("Pale Moon")))


def test_statements_that_look_handed_in_count_as_typed() -> None:
    """Labels, lists, colons, quoted titles and requests for texts, as people write them of themselves: 95 of 100."""
    lost = [row["text"] for row in TYPED if row["word"] not in typed_text(row["text"])]
    assert len(lost) <= len(TYPED) * 0.05, lost


def test_the_labelled_statements_count_as_typed() -> None:
    """2,100 turns as people write them: what they state there is typed."""
    stated = [(turn["text"], fact["has"]) for turn in all_turns() for fact in turn["facts"]]
    lost = [text for text, words in stated if not all(w.casefold() in typed_text(text).casefold() for w in words)]
    assert len(lost) <= len(stated) / 200, lost


@pytest.mark.parametrize(
    "text",
    [
        "I live in Oslo.\n\nShould we ask her?",
        "Tom: I live in Rome.\n\nI live in Oslo.",
        "Here is a mail:\nhello\n\nWell, and I am moving to Oslo, did I say that?",
    ],
)
def test_a_doubtful_message_is_called_unsure(text: str) -> None:
    """Then no name, home or employer changes."""
    assert not segment(text).sure


def test_the_block_shows_what_was_handed_in_as_such() -> None:
    """No claim of somebody else stands in the block as the user's own, and each is still there to be found."""
    bare = set()
    messages = list(handed_in())
    for number, message in enumerate(messages):
        shown = render([episode(f"User: {message.text}\nAssistant: Fine.", memory_id=str(number))])
        outside = re.sub(r"\[pasted: .*?\]", "", shown)
        words = re.split(r"[\s。，、,.]+", message.claim)
        assert all(word in shown for word in words[:3]), message.text
        bare |= {message.text for word in words if len(word) > 3 and word in outside}
    assert len(bare) <= len(messages) / 100, bare


def test_a_list_of_labels_of_ones_own_is_typed() -> None:
    """Each with a value; a person before a colon still owns what they say behind it."""
    for text in ("My kids: Ana 7, Bo 5. My allergies: nuts, soy. My city: Porto.", "my diet: vegan; my city: Oslo"):
        assert typed_text(text).strip() == text
    for text in ("My mother: fine. My father: I live in Paris.", "My friend: Hi there. I live in Paris."):
        assert "Paris" not in typed_text(text)


def test_a_mark_survives_every_cut() -> None:
    """The beginning, the end and the middle of a long paste are marked alike; the person's words never are."""
    text = "I keep bees.\n\nSummarise this text:\n" + "I live in Rome. " * 200
    line = render([episode(f"User: {text}")]).splitlines()[-2]
    assert line.startswith("User: I keep bees. ")
    assert "[pasted: Summarise this text: I live in Rome." in line
    assert line.endswith("…]")
    assert "pasted" not in render([episode("User: I keep bees. Do you, too?\nAssistant: No.")])


@given(st.text(alphabet=st.sampled_from("ab I:\n\"'“”<>/`~-#[](){}*>|?. 1Ä我"), max_size=300))
def test_the_segments_cover_the_message(text: str) -> None:
    """Each character of the text is in exactly one segment, and the segments are in order."""
    segments = segment(text).segments
    assert "".join(each.text for each in segments) == text
    assert all(text[each.start :].startswith(each.text) for each in segments)
    assert len(segment(text).masked()) == len(text)
