"""The block's size is estimated without a tokenizer, and rarely too low."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import tiktoken

from rememberd.memory.recall.block import tokens

ENGLISH = """I moved to Oslo last spring because my partner got a job at the university hospital. Since then I
have been working remotely for a small consultancy, mostly on data pipelines. I'm vegetarian, and I can't stand
coriander. My sister is coming to visit in three weeks, so we'll need to clear the spare room; it's full of bicycle
parts. We went hiking yesterday and saw two elk near the lake. Could you remind me to call the dentist on Thursday
morning?"""
OTHERS = {
    "German": "Ich wohne seit drei Jahren in Bergen und arbeite als Krankenschwester im Universitätskrankenhaus.",
    "French": "J'habite à Lyon depuis l'été dernier et je travaille comme ingénieure dans une petite entreprise.",
    "Spanish": "Vivo en Valencia con mi hermana y nuestros dos gatos. El año pasado empecé a estudiar arquitectura.",
    "Norwegian": "Jeg bor i Tromsø sammen med samboeren min. Vi flyttet hit i fjor høst fordi hun fikk jobb.",
    "Russian": "Я живу в Новосибирске и работаю учителем физики. Летом мы с женой ездим на дачу.",
    "Greek": "Μένω στη Θεσσαλονίκη και δουλεύω ως δικηγόρος. Το καλοκαίρι πηγαίνουμε πάντα στη Νάξο.",
    "Arabic": "أعيش في القاهرة وأعمل طبيبة أسنان. في الصيف الماضي سافرت مع عائلتي إلى الإسكندرية.",
    "Hindi": "मैं पुणे में रहता हूँ और एक बैंक में काम करता हूँ। पिछले साल मेरी बहन की शादी हुई थी।",
    "Chinese": "我住在上海，是一名软件工程师。去年秋天我和妻子搬到了这里，因为她在医院找到了工作。",
    "Japanese": "私は京都に住んでいて、小学校の先生をしています。去年の夏に猫を二匹飼い始めました。",
    "Korean": "저는 부산에 살고 있고 병원에서 간호사로 일합니다. 작년 가을에 결혼했습니다.",
    "Python": "def merge(left: list[int], right: list[int]) -> list[int]:\n    out = []\n    return out + left",
    "JSON": '{"id":"6d1f7a52-6f0e","created_at":"2026-11-03T17:45:12Z","amount":1299.95,"tags":["a","b"]}',
    "emoji": "So happy 🎉🎉 we got the keys!! 🏡❤️ can't wait 😂😂😂 — see you… “soon”",
}


@pytest.fixture
def cl100k(monkeypatch: pytest.MonkeyPatch) -> tiktoken.Encoding:
    """The tokenizer's file comes with litellm, so that this needs no network."""
    package = find_spec("litellm")
    assert package
    assert package.origin
    folder = Path(package.origin).parent / "litellm_core_utils" / "tokenizers"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    return tiktoken.get_encoding("cl100k_base")


def test_english_is_estimated_within_a_few_percent(cl100k: tiktoken.Encoding) -> None:
    """Never more than 1 % under, at most 8 % over."""
    assert -0.01 <= tokens(ENGLISH) / len(cl100k.encode(ENGLISH)) - 1 <= 0.08


@pytest.mark.parametrize("language", OTHERS)
def test_other_languages_and_code_are_not_underestimated(cl100k: tiktoken.Encoding, language: str) -> None:
    """At most 3 % under, at most 45 % over, in any script."""
    text = OTHERS[language] * 3
    assert -0.03 <= tokens(text) / len(cl100k.encode(text)) - 1 <= 0.45
