"""Who mostly writes in other languages is told of the multilingual model, nobody else: by `check` and on the page."""

import json
from pathlib import Path
from typing import Any

import pytest

from rememberd.memory.embedding.embedder import MULTILINGUAL, PACKAGED
from rememberd.memory.embedding.suggestion import LEAST, suggested_model
from rememberd.types import Memory, Point, Space, Sparse
from tests.support.command_line import check
from tests.support.fake_model import FakeModel
from tests.support.fakes import EmbedderFake, MemoryStoreFake
from tests.support.proxy_in_process import running_here

DATA = Path(__file__).parents[1] / "data"


class Named(EmbedderFake):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def messages(english: bool) -> list[str]:
    """What people typed, of all blind sets."""
    rows: list[dict[str, Any]] = []
    for file in sorted(DATA.glob("blind*/turns.jsonl")):
        rows += map(json.loads, file.read_text().splitlines())
    return [row["text"] for row in rows if (row["lang"] == "en") == english]


ENGLISH, OTHER = messages(english=True), messages(english=False)
NO_WORDS = ["ok", "?", "42", "def f(x): return x + 1", "SELECT * FROM t;", "https://example.com/a?b=c", "thx!", "lol"]


async def suggested(said: list[str], embedder: str = PACKAGED.name, users: int = 1) -> str | None:
    store, named = MemoryStoreFake(), Named(embedder)
    spaces = [Space(f"user{number}") for number in range(users)]
    for number, text in enumerate(said):
        one = Memory(f"id{number}", f"User: {text}\nAssistant: Sure, I can help.", "episode", number, number, number)
        await store.put(spaces[number % users], [Point(one, [], Sparse([], []), tokens=1)])
    return await suggested_model(store, named, spaces, now=10**12)


@pytest.mark.parametrize("users", [1, 7])
async def test_it_is_suggested_where_most_is_in_other_languages(users: int) -> None:
    """Whatever others' messages: each hundred of the blind sets; and with a third of English among them."""
    hundreds = [OTHER[at : at + 100] for at in range(0, len(OTHER) - 100, 100)]
    assert [await suggested(each, users=users) for each in hundreds] == ["multilingual"] * len(hundreds)
    assert await suggested([*OTHER[:80], *ENGLISH[:40]], users=users) == "multilingual"


@pytest.mark.parametrize("users", [1, 7])
async def test_it_is_not_suggested_to_others(users: int) -> None:
    """Who writes English, with a third of other languages or half of what has no words; who has told little; or who
    has the model already."""
    hundreds = [ENGLISH[at : at + 100] for at in range(0, len(ENGLISH) - 100, 100)]
    assert [await suggested(each, users=users) for each in hundreds] == [None] * len(hundreds)
    assert await suggested([*ENGLISH[:80], *OTHER[:40]], users=users) is None
    assert await suggested([*ENGLISH[:40], *NO_WORDS * 5], users=users) is None
    assert await suggested(OTHER[: LEAST - 1], users=users) is None
    assert await suggested(OTHER[:100], MULTILINGUAL.name, users=users) is None


def test_check_suggests_it_where_the_proxy_runs(tmp_path: Path, upstream: FakeModel) -> None:
    """Once most memories are in another language, not while they are in English."""
    with running_here(tmp_path, {"model-a": upstream.url}) as proxy:
        for user, said, shown in (("ann", ENGLISH[:LEAST], False), ("ben", OTHER[: 2 * LEAST], True)):
            lines = "\n".join(json.dumps({"text": text}) for text in said)
            with proxy.client(user) as client:
                client.post("/v1/memories/import", content=lines).raise_for_status()
            code, report = check(tmp_path / "rememberd.yaml")
            assert code == 0, report
            assert ("memory.embedding.model: multilingual" in report) == shown, report
