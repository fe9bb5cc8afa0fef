"""Text to vectors: offline, the same for the same text, and never in anybody's way."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from rememberd.errors import ConfigError, EmbedderUnavailable
from rememberd.memory.embedding import embedder as module
from rememberd.memory.embedding.embedder import PACKAGED, Encode, FastEmbedder, Vector
from rememberd.memory.embedding.mapped_weights import byte_tables


@pytest.fixture
async def embedder() -> AsyncIterator[FastEmbedder]:
    embedder = FastEmbedder()
    await embedder.start()
    yield embedder
    embedder.close()


async def cosine(embedder: FastEmbedder, left: str, right: str) -> float:
    return float(np.dot(await embedder.dense(left), await embedder.dense(right)))


async def test_like_meanings_are_near(embedder: FastEmbedder) -> None:
    """A question is nearer to its answer than to anything else, without a word in common."""
    question = "Where is my home?"
    assert await cosine(embedder, question, "I live in Oslo") > 0.1 + await cosine(embedder, question, "Tea is hot")


async def test_vectors_have_the_promised_shape(embedder: FastEmbedder) -> None:
    """`dim` numbers of unit length for any text: empty, of signs, of a megabyte."""
    assert embedder.name == "all-MiniLM-L6-v2-int8"
    for text in ("hello", "", " \n", "🙂", "word " * 200_000):
        vector = await asyncio.wait_for(embedder.dense(text), 120)
        assert len(vector) == embedder.dim == 384
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


async def test_a_mapped_table_gives_the_same_vectors(embedder: FastEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit those that the engine makes when it reads the model by itself."""
    assert [table.shape for table in byte_tables(PACKAGED / "model.onnx").values()] == [(30_522, 384)]
    monkeypatch.setattr(module, "byte_tables", lambda file: {})
    alone = module.LocalModel(PACKAGED)
    for text in ("hello", "I live in Oslo and like rye bread.", "naïve 東京 🙂"):
        assert await embedder.dense(text) == alone(text).tolist()


async def test_close_waits_for_the_text_under_way() -> None:
    """Python aborts when it exits while a thread is inside onnxruntime."""
    embedder, others = FastEmbedder(), set(threading.enumerate())
    await embedder.start()
    (thread,) = set(threading.enumerate()) - others
    texts = [asyncio.ensure_future(embedder.dense(f"{number} word " * 200)) for number in range(3)]
    await asyncio.sleep(0)
    embedder.close()
    assert not thread.is_alive()
    done, pending = await asyncio.wait(texts, timeout=120)
    assert (len(done), pending) == (3, set())


async def test_the_company_does_not_change_a_vector(embedder: FastEmbedder) -> None:
    """A text embedded amid many others has the vector it has alone, to the last bit."""
    among = FastEmbedder()
    await among.start()
    texts = ["I like tea", "My dog is called Rex and he is old " * 9, "x", "Jeg bor i Oslo"]
    together = await asyncio.gather(*(among.dense(text) for text in texts))
    among.close()
    assert together == [await embedder.dense(text) for text in texts]


async def test_the_vectors_are_those_fastembed_makes(embedder: FastEmbedder) -> None:
    """Loading the model without fastembed saves memory and time and changes nothing. Its last digits are nobody's:
    int8 vectors differ as much (a cosine of .993) by the batch they are made in, or by the order of a sum."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    TextEmbedding.add_custom_model(
        model="same-files",
        pooling=PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(hf="local/none"),
        dim=384,
        model_file="model.onnx",
    )
    reference = TextEmbedding("same-files", specific_model_path=str(PACKAGED), threads=1)
    for text in ("I like tea", "", "a longer text, " * 200):
        (expected,) = reference.embed([text])
        assert np.dot(await embedder.dense(text), expected) > 0.995


async def test_loading_the_packaged_model_takes_neither_fastembed_nor_a_hub() -> None:
    """A web process stays small and needs no network: the heavy imports never happen."""
    program = (
        "import asyncio, sys; from rememberd.memory.embedding.embedder import FastEmbedder;"
        "embedder = FastEmbedder(); asyncio.run(embedder.start());"
        "print(embedder.dim, 'fastembed' in sys.modules, 'litellm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["384", "False", "False"]


async def test_before_and_after_its_life_it_says_so() -> None:
    """Not loaded yet, or closed: EmbedderUnavailable at once, no waiting; words need no model."""
    embedder = FastEmbedder()
    assert not embedder.ready
    with pytest.raises(EmbedderUnavailable, match="not loaded"):
        await embedder.dense("hello")
    assert embedder.query("hello").indices
    await embedder.start()
    assert embedder.ready
    embedder.close()
    assert not embedder.ready
    with pytest.raises(EmbedderUnavailable, match="not loaded"):
        await embedder.dense("hello")


async def test_a_directory_with_a_model_of_ones_own(tmp_path: Path) -> None:
    """The same three files elsewhere work; the folder's name becomes the model's name."""
    shutil.copytree(PACKAGED, tmp_path / "mine")
    embedder = FastEmbedder(path=str(tmp_path / "mine"))
    await embedder.start()
    assert (embedder.name, embedder.dim) == ("mine", 384)
    embedder.close()


@pytest.mark.parametrize("broken", ["model.onnx", "tokenizer.json", "tokenizer_config.json"])
async def test_a_broken_model_is_a_config_error(tmp_path: Path, broken: str) -> None:
    """The error names the setting and the directory, for a missing and for a damaged file."""
    for file in PACKAGED.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / broken).unlink()
    with pytest.raises(ConfigError, match=rf"{tmp_path}, see memory.embedding.path"):
        await FastEmbedder(path=str(tmp_path)).start()
    (tmp_path / broken).write_bytes(b"{damaged")
    with pytest.raises(ConfigError, match=rf"{tmp_path}, see memory.embedding.path"):
        await FastEmbedder(path=str(tmp_path)).start()


async def test_a_model_that_fastembed_does_not_know_is_a_config_error() -> None:
    """The error names the setting and the model."""
    with pytest.raises(ConfigError, match=r"memory.embedding.model.*no/such-model"):
        await FastEmbedder(model="no/such-model").start()


def test_words_have_the_same_ids_in_memories_and_questions() -> None:
    """BM25 meets on word stems, needs no model, and survives text without words."""
    embedder = FastEmbedder()
    memory, question = embedder.document("She climbs mountains"), embedder.query("climbing a mountain?")
    assert set(question.indices) == set(memory.indices)
    assert len(memory.indices) == len(memory.values)
    assert embedder.query("?!") == embedder.document("") == ([], [])


class HeldModel(FastEmbedder):
    """The real queue in front of a model that waits for `gate` and notes what it was given."""

    def __init__(self, cache_size: int = 8) -> None:
        super().__init__(cache_size=cache_size)
        self.gate = threading.Event()
        self.computed: list[str] = []

    def _load(self) -> tuple[Encode, int]:
        return self._held, 2

    def _held(self, text: str) -> Vector:
        assert self.gate.wait(10)
        self.computed.append(text)
        return np.array([1.0, len(text)], dtype=np.float32)


@pytest.fixture
async def held() -> AsyncIterator[HeldModel]:
    embedder = HeldModel(cache_size=2)
    await embedder.start()
    yield embedder
    embedder.gate.set()
    embedder.close()


async def test_the_same_text_is_computed_once(held: HeldModel) -> None:
    """For callers at the same time and later; the least recently asked texts are forgotten first."""
    calls = [asyncio.create_task(held.dense("a")) for _ in range(20)]
    await asyncio.sleep(0)
    held.gate.set()
    assert await asyncio.gather(*calls) == [[1.0, 1.0]] * 20
    await held.dense("b")
    await held.dense("a")
    await held.dense("c")
    await held.dense("a")
    assert held.computed == ["a", "b", "c"]
    await held.dense("b")
    assert held.computed == ["a", "b", "c", "b"]


async def test_who_gives_up_takes_nothing_from_the_others(held: HeldModel) -> None:
    """A cancelled caller leaves the computation to those who still wait for it."""
    leaving, staying = asyncio.create_task(held.dense("a")), asyncio.create_task(held.dense("a"))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    held.gate.set()
    assert await staying == [1.0, 1.0]
    assert held.computed == ["a"]


async def test_a_text_nobody_waits_for_any_more_is_not_computed(held: HeldModel) -> None:
    """Under overload the thread's time goes to those whose deadline is not over."""
    first, given_up = asyncio.create_task(held.dense("first")), asyncio.create_task(held.dense("late"))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    held.gate.set()
    await first
    await held.dense("next")
    assert held.computed == ["first", "next"]
