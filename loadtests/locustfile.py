"""For those who use locust already: `locust -f loadtests/locustfile.py --host http://127.0.0.1:8787`.

REMEMBERD_KEY and REMEMBERD_MODEL name the API key and the model. Locust sends the next request of a user only after
the last answer, so a proxy that stalls is asked less: for percentiles use `python -m loadtests run`."""

import os
import random

from locust import HttpUser, between, task

from loadtests.prompts import question


class Chatter(HttpUser):  # type: ignore[misc]
    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        self.chance = random.Random()
        if key := os.environ.get("REMEMBERD_KEY"):
            self.client.headers["Authorization"] = f"Bearer {key}"

    @task(3)  # type: ignore[untyped-decorator]
    def asks_with_memory(self) -> None:
        self._ask("on")

    @task(1)  # type: ignore[untyped-decorator]
    def asks_without_memory(self) -> None:
        self._ask("off")

    def _ask(self, memory: str) -> None:
        messages = [{"role": "user", "content": question(self.chance)}]
        body = {"model": os.environ.get("REMEMBERD_MODEL", "gpt-4o-mini"), "messages": messages}
        path = "/v1/chat/completions"
        self.client.post(path, json=body, headers={"X-Memory": memory}, name=f"{path} memory {memory}")
