"""The quality benchmark runs on any file in LoCoMo's format, through the real write and recall paths."""

from __future__ import annotations

import json
from pathlib import Path

from loadtests.quality.__main__ import run
from loadtests.quality.locomo import load
from loadtests.quality.report import table

TALK = [
    ("Ada", "Hi Bo, long time no see!"),
    ("Bo", "What have you been up to?"),
    ("Ada", "I started at a bakery in Lyon yesterday."),
    ("Bo", "I got a parrot called Kiwi."),
]
SAMPLE = {
    "sample_id": "made-up",
    "conversation": {
        "speaker_a": "Ada",
        "speaker_b": "Bo",
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": speaker, "dia_id": f"D1:{place}", "text": text}
            for place, (speaker, text) in enumerate(TALK, 1)
        ],
    },
    "qa": [
        {"question": "What is Bo's parrot called?", "answer": "Kiwi", "evidence": ["D1:4"], "category": 4},
        {"question": "When did Ada start at the bakery?", "answer": "7 May", "evidence": ["D1:3"], "category": 2},
        {"question": "What did Ada sell?", "adversarial_answer": "cars", "evidence": ["D1:3"], "category": 5},
        {"question": "What is lost?", "answer": "this", "evidence": ["D9:9"], "category": 1},
    ],
}


async def test_the_benchmark_reports_what_was_found(tmp_path: Path) -> None:
    """Each way and budget has a figure; adversarial questions and those without evidence are left out."""
    data = tmp_path / "data.json"
    data.write_text(json.dumps([SAMPLE, SAMPLE | {"sample_id": "twin"}]))
    conversations = load(data)
    assert [each.category for each in conversations[0].questions] == ["single-hop", "temporal"]

    result = await run(conversations, check_folds=True)

    assert result["memories"]["episode"] == 8
    assert result["ways"]["product"]["250"]["found"] == 100.0
    assert 0 < result["ways"]["product"]["250"]["tokens"] <= 250
    assert set(result["ways"]) == {"product", "episodes only", "facts only", "dense only", "BM25 only"}
    assert [fold["held_out"] for fold in result["folds"]] == ["made-up", "twin"]
    assert "| product | 100.0 |" in table(result["ways"])
