"""Runs memrank on an agent and an evaluation file, without an account: `memrank run` wants one, for its judge and its
run history. The evaluation loop, the check that conversations are kept apart and the grading are memrank's own.

Arguments: the agent file, the evaluation file, a folder. It prints memrank's result as JSON. It runs with memrank's
packages alone, so it imports nothing of ours. It is also the grader that the evaluation file names: with no
arguments it reads a question as JSON on stdin and prints its score."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def evaluated(agent_file: Path, evaluation: Path, folder: Path) -> str:
    from memrank.connect.probe import leak_probe
    from memrank.connect.spec import load_agent
    from memrank.loop.judge import judge
    from memrank.loop.run import Instruments, execute
    from memrank.service.engine import EvaluationService
    from memrank.service.protocol import Op, RunCreate
    from memrank.service.store import FolderRunStore

    agent = load_agent(agent_file)
    leak_probe(agent.connector)
    service = EvaluationService(store=FolderRunStore(folder))
    run = service.create(RunCreate(evaluation=str(evaluation), agent=agent.ref))
    tools = Instruments()
    while (step := service.next(run.run_id)).op is not Op.DONE:
        service.post(run.run_id, step.step_id, execute(agent.connector, step, tools))
        if step.op is Op.FEED:
            time.sleep(1)  # what was fed is written after the answer, a moment later
    agent.connector.close()
    result: str = judge(service.result(run.run_id), None).model_dump_json()
    return result


def graded(question: dict[str, str]) -> dict[str, object]:
    """1 if the reference's words stand in the answer."""
    said = question["reference"].casefold() in question["answer"].casefold()
    return {"score": float(said), "why": "holds the reference" if said else "does not hold the reference"}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(evaluated(*map(Path, sys.argv[1:])))
    else:
        print(json.dumps(graded(json.load(sys.stdin))))
