"""The quality benchmark reads each data set as it is published. The files here are made up, in that form."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.quality.__main__ import run
from loadtests.quality.datasets import READERS, beam, checked, halumem, longmemeval, personamem, realtalk
from loadtests.quality.datasets.conversation import Conversation


def said(*texts: str, **more: Any) -> list[dict[str, Any]]:
    """Messages of a user and an assistant by turns; `more` goes into the first."""
    messages = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]
    return [messages[0] | more, *messages[1:]]


def written(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def gold_texts(spoken: Conversation) -> list[set[str]]:
    texts = {turn.id: turn.user_text for turn in spoken.turns}
    return [{texts[each] for each in question.gold} for question in spoken.questions]


def test_locomo_as_chats_of_one_person(tmp_path: Path) -> None:
    """The same words and the same gold, without names and days, each turn in a conversation of its own."""
    lines = [{"speaker": name, "dia_id": f"D1:{n}", "text": text} for n, (name, text) in enumerate(_SAID, 1)]
    talk = {"session_1": lines, "session_1_date_time": "1:56 pm on 8 May, 2023"}
    asked = [{"question": "Which pet does Ada have?", "category": 4, "evidence": ["D1:1"]}]
    data = written(tmp_path / "l.json", [{"sample_id": "one", "conversation": talk, "qa": asked}])
    (spoken,), (told,) = READERS["locomo"](data), READERS["locomo-told"](data)
    assert gold_texts(told) == gold_texts(spoken) == [{"I adopted a greyhound."}]
    assert [turn.speaker for turn in spoken.turns] == ["Ada", "Bo"]
    assert {turn.speaker for turn in told.turns} == {None}
    assert len({turn.source.conversation for turn in told.turns}) == 2
    assert told.turns[0].created_at < told.turns[1].created_at < told.end


_SAID = (("Ada", "I adopted a greyhound."), ("Bo", "How lovely, Ada!"))


async def test_longmemeval(tmp_path: Path) -> None:
    """Sessions in the order of their dates, marked turns as gold, no question without an answer; any and all at 5."""
    row = {
        "question_id": "q1",
        "question_type": "multi-session",
        "question": "Which instruments do I play?",
        "answer": "cello and tuba",
        "question_date": "2023/06/01 (Thu) 10:00",
        "haystack_session_ids": ["late", "other", "early"],
        "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/19 (Fri) 08:00", "2023/05/01 (Mon) 12:30"],
        "haystack_sessions": [
            said("I play the tuba now.", "Nice.", has_answer=True),
            said("How do bees fly?", "With their wings.", "Thanks!", "You are welcome."),
            said("I play the cello.", "Lovely.", has_answer=True),
        ],
        "answer_session_ids": ["late", "early"],
    }
    data = written(tmp_path / "s.json", [row, row | {"question_id": "q2_abs"}])
    (spoken,) = longmemeval.load(data)
    assert [turn.user_text for turn in spoken.turns][::3] == ["I play the cello.", "I play the tuba now."]
    assert gold_texts(spoken) == [{"I play the cello.", "I play the tuba now."}]
    assert [turn.created_at for turn in spoken.turns] == sorted(turn.created_at for turn in spoken.turns)
    assert spoken.turns[-1].created_at < spoken.end
    result = await run([spoken], check_folds=False)
    assert result["sessions"]["product"] == {"any": [100.0] * 3, "all": [100.0] * 3}


def test_beam(tmp_path: Path) -> None:
    """Numbers of messages, in lists or objects of lists, lead to their exchanges; marks of the generator are cut."""
    first = said("I am Ana, I bake. ->-> 1,1", "Hello Ana.", "Rye mostly.", "Good.", time_anchor="March-15-2024")
    second = said("I bake wheat now.", "Noted.")
    for number, message in enumerate([*first, *second]):
        message["id"] = number
    chat = [{"batch_number": 1, "turns": [first[:2], first[2:]]}, {"batch_number": 2, "turns": [second]}]
    questions = {
        "abstention": [{"question": "What is my shoe size?"}],
        "knowledge_update": [
            {"question": "What do I bake?", "source_chat_ids": {"original_info": [2], "updated_info": [4]}}
        ],
        "information_extraction": [{"question": "Who am I?", "source_chat_ids": [1]}],
    }
    written(tmp_path / "2" / "chat.json", chat)
    written(tmp_path / "2" / "probing_questions" / "probing_questions.json", questions)
    (spoken,) = beam.load(tmp_path)
    assert [turn.user_text for turn in spoken.turns] == ["I am Ana, I bake.", "Rye mostly.", "I bake wheat now."]
    assert gold_texts(spoken) == [{"Rye mostly.", "I bake wheat now."}, {"I am Ana, I bake."}]
    assert {turn.source.conversation for turn in spoken.turns} == {"1", "2"}


async def test_personamem(tmp_path: Path) -> None:
    """A question sees the messages before its end only, never the persona; it is a multiple choice."""
    system = {"role": "system", "content": "Current user persona: a skier"}
    messages = [system, *said("User: I love skiing in Tyrol.", "Assistant: Great."), system, *said("User: Hi", "Hi")]
    written(tmp_path / "shared_contexts_32k.jsonl", json.dumps({"ctx": messages}) + "\n")
    row = {
        "question_type": "recall_user_shared_facts",
        "user_question_or_message": "What should I do this winter?",
        "correct_answer": "(b)",
        "all_options": "['(a) Stay at home and read.', '(b) Go skiing in Tyrol, as you love it.']",
        "shared_context_id": "ctx",
        "end_index_in_shared_context": "3",
    }
    with (tmp_path / "questions_32k.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, list(row))
        rows.writeheader()
        rows.writerows([row, row | {"end_index_in_shared_context": "6"}])
    spoken, longer = personamem.load(tmp_path)
    assert [turn.user_text for turn in spoken.turns] == ["I love skiing in Tyrol."]
    assert [turn.user_text for turn in longer.turns] == ["I love skiing in Tyrol.", "Hi"]
    assert spoken.questions[0].options[spoken.questions[0].right] == "Go skiing in Tyrol, as you love it."
    result = await run([spoken], check_folds=False)
    assert result["ways"]["vector store"]["250"]["found"] == 100.0


def test_realtalk(tmp_path: Path) -> None:
    chat = {
        "name": {"speaker_1": "Mia", "speaker_2": "Tom"},
        "session_1": [
            {"clean_text": "I got a kayak.", "speaker": "Mia", "date_time": "29.12.2023, 19:07:17", "dia_id": "D1:1"},
            {"clean_text": "Wow", "speaker": "Tom", "date_time": "29.12.2023, 19:08:00", "dia_id": "D1:2"},
        ],
        "session_1_date_time": "29.12.2023, 19:07:17",
        "events_session_1": {"Mia": []},
        "qa": [{"question": "What did Mia get?", "answer": "a kayak", "evidence": ["D1:1"], "category": 1}],
    }
    written(tmp_path / "Chat_1_Mia_Tom.json", chat)
    (spoken,) = realtalk.load(tmp_path)
    assert gold_texts(spoken) == [{"I got a kayak."}]
    assert [turn.speaker for turn in spoken.turns] == ["Mia", "Tom"]


async def test_halumem(tmp_path: Path) -> None:
    """Extraction and update are counted without a judge; what a session should not leave is counted by itself."""

    def session(text: str, *points: dict[str, Any]) -> dict[str, Any]:
        dialogue = [each | {"timestamp": "Sep 04, 2025, 14:00:00"} for each in said(text, "I see.")]
        return {"dialogue": dialogue, "memory_points": list(points)}

    old = {
        "memory_content": "I live in Graz",
        "is_update": "False",
        "original_memories": [],
        "memory_source": "primary",
    }
    new = {"memory_content": "I live in Linz", "is_update": "True", "original_memories": ["I live in Graz"]}
    never = {"memory_content": "Owns seven yachts", "is_update": "False", "memory_source": "interference"}
    generated = session("What is a prime?") | {"is_generated_qa_session": True, "memory_points": [old]}
    told = [session("I live in Graz.", old), session("I moved, I live in Linz now.", new, never), generated]
    row = {"uuid": "u1", "persona_info": "Name: Eva; Gender: f", "sessions": told}
    (spoken,) = halumem.load(written(tmp_path / "m.jsonl", json.dumps(row) + "\n"))
    assert [(point.text, point.wanted) for point in spoken.points][1:] == [
        ("I live in Linz", True),
        ("Owns seven yachts", False),
    ]
    result = await run([spoken], check_folds=False)
    counted = result["points"]
    assert (counted["wanted"], counted["updates"], counted["unwanted"]) == (2, 1, 1)
    assert (counted["updated"], counted["outdated"], counted["stored unwanted"]) == (1, 0, 0)


@pytest.mark.parametrize("name", ["beam", "personamem", "realtalk"])
def test_a_folder_without_the_data_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        READERS[name](tmp_path)


def test_another_file_than_the_published_one_is_told(tmp_path: Path) -> None:
    assert "NOT the published file" in checked(written(tmp_path / "locomo10.json", []))
    assert "not checked" in checked(written(tmp_path / "mine.json", []))
    assert "not checked" in checked(tmp_path)
