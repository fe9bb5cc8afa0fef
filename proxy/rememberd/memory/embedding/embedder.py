"""Text to vectors: a sentence model in one thread for meaning, BM25 for words."""

import asyncio
import ctypes
import json
import logging
import math
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread, get_native_id
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray
from qdrant_edge import Bm25

from rememberd.errors import ConfigError, EmbedderUnavailable
from rememberd.memory.embedding.mapped_weights import byte_tables
from rememberd.memory.embedding.spelling import Spelling
from rememberd.types import Sparse

_MODELS = Path(__file__).parent / "models"
PACKAGED = _MODELS / "all-MiniLM-L6-v2-int8"
MULTILINGUAL = _MODELS / "multilingual-e5-small-80k-int8"  # by `model: multilingual`

# A factor for a model's cosines, so that they have the scale of all-MiniLM-L6-v2, for which the thresholds and
# weights of recall are set: its 1, 50 and 99 % on LoCoMo are -.08, .11 and .46, those of this one -.07, .10 and .37.
GAINS = {MULTILINGUAL.name: 1.3}
# The models read 256 to 512 tokens. Tokenizing a megabyte after those would take seconds.
_LOADS_WITHIN_SECONDS = 10.0
_ENDS_WITHIN_SECONDS = 5.0  # a model that is being downloaded may take longer: its thread is abandoned
MAX_CHARS = 4000

Vector = NDArray[np.float32]
T = TypeVar("T")
Encode = Callable[[str], Vector]

log = logging.getLogger("rememberd.embed")


class _Thread:
    """Runs calls one after the other. An executor, with futures of its own, takes 0.2 ms more for each."""

    def __init__(self, name: str, nice: int) -> None:
        self._calls: SimpleQueue[tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = (
            SimpleQueue()
        )
        self._thread = Thread(target=self._work, args=(nice,), name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """A call that is cancelled before its turn is not run."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((result, function, arguments))
        return result

    def close(self) -> None:
        """Wait a short time for the running call; waiting calls are not run. Python aborts (SIGABRT) if it exits
        while the thread is inside onnxruntime, unless it ends as `rememberd.cli.main.run` does."""
        with suppress(Empty):
            while (call := self._calls.get_nowait()) is not None:
                call[0].cancel()
        self._calls.put(None)
        self._thread.join(_ENDS_WITHIN_SECONDS)

    def _work(self, nice: int) -> None:
        if nice and sys.platform == "linux":  # elsewhere it would be the whole process
            os.setpriority(os.PRIO_PROCESS, get_native_id(), nice)
        while (call := self._calls.get()) is not None:
            result, function, arguments = call
            if result.cancelled():
                continue
            try:
                settle = partial(result.set_result, function(*arguments))
            except Exception as error:  # noqa: BLE001 - it is the caller's, whatever it is
                settle = partial(result.set_exception, error)
            with suppress(RuntimeError):  # the caller's event loop has ended
                result.get_loop().call_soon_threadsafe(_unless_done, result, settle)


def _unless_done(result: asyncio.Future[Any], settle: Callable[[], None]) -> None:
    if not result.done():
        settle()


@dataclass(slots=True)
class _Job:
    """A text on its way through the thread, and how many callers wait for it."""

    result: asyncio.Future[Vector]
    waiters: int = 0


class FastEmbedder:
    """The `Embedder` port over one ONNX model.

    The model is the packaged one; "multilingual", packaged too; the one in the directory `path` (model.onnx,
    tokenizer.json and tokenizer_config.json, mean pooling); or `model`, a name that fastembed knows and can download.
    `dim` is known after `start`. `cache_size` is a number of recent texts; each takes about 2 kB. `nice` is the
    thread's priority, like that of the command `nice`.
    """

    def __init__(
        self, model: str | None = None, path: str | None = None, cache_size: int = 512, nice: int = 0
    ) -> None:
        packaged = MULTILINGUAL if model == "multilingual" else PACKAGED
        self._directory = Path(path).expanduser() if path else packaged
        self._model = None if path or packaged is MULTILINGUAL else model
        self.name = self._model or self._directory.name
        self.gain = GAINS.get(self.name, 1.0)
        self.dim = 0
        self._nice = nice
        self._encode: Encode | None = None
        self._spelling = Spelling(lambda word: True)  # corrects nothing
        # One thread, one text at a time: vectors of an int8 model depend on the batch they were made in.
        self._thread: _Thread | None = None
        self._loading: asyncio.Future[tuple[Encode, int]] | None = None
        self._jobs: dict[str, _Job] = {}
        self._ms = 0.0  # how long a text took recently
        self._recent: OrderedDict[str, Vector] = OrderedDict()
        self._cache_size = cache_size

    @property
    def ready(self) -> bool:
        return self._encode is not None

    @property
    def backlog_ms(self) -> float:
        """How long a new text would wait for the texts before it."""
        return len(self._jobs) * self._ms

    async def start(self) -> None:
        """Load the model outside the event loop. Raises `ConfigError` for a missing or broken model, and
        `EmbedderUnavailable` for one that cannot be downloaded now."""
        self._thread = _Thread("embed", self._nice)
        self._loading = self._thread.call(self._load)
        self._encode, self.dim = await self._loading

    def close(self) -> None:
        self._encode = None
        if self._thread is not None:
            self._thread.close()

    async def dense(self, text: str) -> list[float]:
        """A vector of unit length. Waits some seconds for a model that is being loaded. Raises `EmbedderUnavailable`
        if there is no model after that."""
        text = text[:MAX_CHARS]
        vector = self._recent.get(text)
        if vector is None:
            if self._encode is None and self._loading is not None:
                await asyncio.wait({self._loading}, timeout=_LOADS_WITHIN_SECONDS)
            vector = await self._computed(text)
            self._remember(text, vector)
        else:
            self._recent.move_to_end(text)
        floats: list[float] = vector.tolist()
        return floats

    def document(self, text: str) -> Sparse:
        return _sparse(_BM25.embed_document(self._spelling.with_meant(text)))

    def query(self, text: str) -> Sparse:
        return _sparse(_BM25.embed_query(self._spelling.with_meant(text[:MAX_CHARS])))

    async def _computed(self, text: str) -> Vector:
        """One computation for all callers with the same text. When the last of them has given up, it leaves the
        thread's queue: under overload, work without a caller must not delay the rest."""
        job = self._jobs.get(text) or self._submit(text)
        job.waiters += 1
        try:
            return await asyncio.shield(job.result)
        finally:
            job.waiters -= 1
            if not job.waiters:
                job.result.cancel()
                self._jobs.pop(text, None)

    def _submit(self, text: str) -> _Job:
        if self._encode is None or self._thread is None:
            raise EmbedderUnavailable(f"the embedding model {self.name} is not loaded")
        self._jobs[text] = job = _Job(self._thread.call(self._timed, text))
        return job

    def _timed(self, text: str) -> Vector:
        assert self._encode is not None
        began = time.perf_counter()
        vector = self._encode(self._spelling.corrected(text))
        self._ms += 0.1 * ((time.perf_counter() - began) * 1000 - self._ms)
        return vector

    def _remember(self, text: str, vector: Vector) -> None:
        self._recent[text] = vector
        if len(self._recent) > self._cache_size:
            self._recent.popitem(last=False)

    def _load(self) -> tuple[Encode, int]:
        encode = _downloaded(self._model) if self._model else local_model(self._directory)
        if isinstance(encode, LocalModel) and self._directory == PACKAGED:
            self._spelling = Spelling(encode.knows)
        dim = len(encode("warm up"))
        release_free_memory()
        log.info("embedding model %s loaded, %d dimensions", self.name, dim)
        return encode, dim


_BM25 = Bm25()


def _sparse(vector: Any) -> Sparse:
    return Sparse(vector.indices, vector.values)


class LocalModel:
    """A model on disk, without fastembed (0.9.1): 24 MB and .4 s less. Several threads may use it at once."""

    def __init__(self, directory: Path) -> None:
        from onnxruntime import InferenceSession, OrtValue, SessionOptions
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        limits = json.loads((directory / "tokenizer_config.json").read_text())
        longest = min(limits[key] for key in ("model_max_length", "max_length") if key in limits)
        self._tokenizer.enable_truncation(longest)
        self._tokenizer.no_padding()

        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # the arena keeps the largest text's memory for good
        # A fused operator that is slower than its parts: without it a question takes 8 % less (measured, 1.32).
        options.add_session_config_entry("optimization.disable_specified_optimizers", "SkipLayerNormFusion")
        file = directory / "model.onnx"
        self._shared = {name: OrtValue.ortvalue_from_numpy(table) for name, table in byte_tables(file).items()}
        for name, table in self._shared.items():  # the engine reads them as long as the session lives
            options.add_initializer(name, table)
        self._session = InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._inputs = {node.name for node in self._session.get_inputs()}

    def __call__(self, text: str) -> Vector:
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        tokens = self._session.run(None, {name: given[name] for name in self._inputs})[0][0]
        pooled: Vector = np.add.reduce(tokens)  # the mean, but for its length
        return pooled / np.float32(math.sqrt(pooled @ pooled))

    def knows(self, word: str) -> bool:
        return self._tokenizer.token_to_id(word) is not None


_loaded: WeakValueDictionary[Path, LocalModel] = WeakValueDictionary()
_loading = Lock()  # without it, each thread that needs the same model would load it


def local_model(directory: Path) -> LocalModel:
    """The model in `directory`; its memory is freed with the last reference. Raises `ConfigError` for a missing or
    broken one."""
    with _loading:
        if (known := _loaded.get(directory)) is not None:
            return known
        try:
            return _loaded.setdefault(directory, LocalModel(directory))
        except Exception as error:  # tokenizers and onnxruntime raise bare exceptions for a bad file
            hint = "reinstall rememberd" if directory in (PACKAGED, MULTILINGUAL) else "see memory.embedding.path"
            raise ConfigError(f"cannot load the model in {directory}, {hint}: {error}") from error


def _downloaded(model: str) -> Encode:
    from fastembed import TextEmbedding

    names = {known["model"].lower() for known in TextEmbedding.list_supported_models()}
    if model.lower() not in names:
        raise ConfigError(f"memory.embedding.model: fastembed has no model {model!r}")
    try:
        embedding = TextEmbedding(model, threads=1, enable_cpu_mem_arena=False)
    except (OSError, ValueError, RuntimeError) as error:
        hint = "download it once, or set memory.embedding.path to a directory that holds one"
        raise EmbedderUnavailable(f"cannot fetch the embedding model {model} ({error}); {hint}") from error

    def encode(text: str) -> Vector:
        vector = np.asarray(next(iter(embedding.embed([text]))), dtype=np.float32)
        return vector / np.float32(np.linalg.norm(vector))

    return encode


def release_free_memory() -> None:
    """Give freed memory back to the system. Loading a model frees about 20 MB, and embedding many texts some more,
    which glibc would keep; other C libraries have no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
