"""The processes of a load test: clients that are told what to do, and the model servers."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection as Pipe

from loadtests import fake
from loadtests.client import Job, Outcome, work
from loadtests.machine import Cores, pin
from loadtests.prompts import question
from rememberd.memory.embedding.embedder import FastEmbedder

_spawn = multiprocessing.get_context("spawn")
_HEAD_START = 0.05  # seconds until all processes have read their job

Embed = Callable[[float, float | None], Outcome]  # of so many seconds, and questions a second (None: without a pause)


class Clients:
    def __init__(self, pipes: list[Pipe]) -> None:
        self._pipes = pipes

    def run(self, job: Job) -> Outcome:
        """The job shared out between the processes, and what they saw together."""
        start = time.monotonic() + _HEAD_START
        number = min(len(self._pipes), job.connections) if job.rate is None else len(self._pipes)
        for share, pipe in enumerate(self._pipes[:number]):
            pipe.send(_share(job, share, number, start))
        together = Outcome()
        for pipe in self._pipes[:number]:
            together.add(pipe.recv())
        return together


def _share(job: Job, share: int, of: int, start: float) -> Job:
    prompt = replace(job.prompt, seed=job.prompt.seed * 100 + share)
    if job.rate is None:
        connections = job.connections // of + (share < job.connections % of)
        return replace(job, prompt=prompt, start=start, connections=connections)
    return replace(job, prompt=prompt, start=start + share / job.rate, rate=job.rate / of)


@contextmanager
def clients(number: int, cores: Cores) -> Iterator[Clients]:
    with ExitStack() as stack:
        pipes = []
        for _ in range(number):
            ours, theirs = _spawn.Pipe()
            process = _spawn.Process(target=work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()  # so that a client that dies is noticed
            pin([process.pid or 0], cores.others)
            stack.callback(process.terminate)
            pipes.append(ours)
        yield Clients(pipes)


@contextmanager
def models(number: int, port: int, cores: Cores) -> Iterator[int]:
    """The port of `number` model servers that share it."""
    with ExitStack() as stack:
        holder = stack.enter_context(fake.shared_listener(port))  # keeps the port while the servers start
        port = holder.getsockname()[1]
        for _ in range(number):
            process = _spawn.Process(target=fake.serve, args=(port,), daemon=True)
            process.start()
            pin([process.pid or 0], cores.others)
            stack.callback(process.terminate)
        yield port


@contextmanager
def embedder(cores: Cores) -> Iterator[Embed]:
    """The embedder alone on the server's cores: what hits with new questions cannot beat."""
    with _spawn.Pool(1, os.sched_setaffinity, (0, cores.server)) as pool:
        yield lambda seconds, rate: pool.apply(_embed, (seconds, rate))


def _embed(seconds: float, rate: float | None) -> Outcome:
    return asyncio.run(_embed_questions(seconds, rate))


async def _embed_questions(seconds: float, rate: float | None) -> Outcome:
    """One at a time, without pause or at a `rate`."""
    model, chance, outcome = FastEmbedder(), random.Random(0), Outcome()
    await model.start()
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        await model.dense(question(chance))
        outcome.latency.append((time.monotonic() - began) * 1000)
        if rate:
            await asyncio.sleep(max(0.0, began + 1 / rate - time.monotonic()))
    model.close()
    return outcome
