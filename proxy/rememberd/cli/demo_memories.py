"""The example memories of `rememberd demo --page`."""

import orjson

from rememberd.cli.terminal.client import Client

EXAMPLE_MEMORIES = (
    ("2026-03-02", "OpenWebUI", "gpt-4o", ("My name is Ada.", "I live in Oslo.", "I'm allergic to peanuts.")),
    ("2026-04-18", "OpenWebUI", "gpt-4o", ("My sister Dana lives in Paris.", "I'm vegetarian.", "I play the cello.")),
    ("2026-06-07", "LibreChat", "claude-sonnet-4-5", ("I work at Globex as a nurse.", "My dog is called Bruno.")),
    ("2026-08-21", "LibreChat", "claude-sonnet-4-5", ("Please answer me briefly.", "I also work at Initech.")),
    ("2026-10-30", "claude-code", "claude-sonnet-4-5", ("I write Python.", "I have a flight to Lisbon in December.")),
)


def remember_examples(client: Client) -> None:
    """Imports a dozen memories of one person from three apps; two of them contradict each other. Raises
    `ProxyError`."""
    lines = [
        {"text": text, "created_at": f"{day}T09:00:00Z", "source": {"client": app, "model": model}}
        for day, app, model, texts in EXAMPLE_MEMORIES
        for text in texts
    ]
    client.ask("POST", "/v1/memories/import", lines=[orjson.dumps(line) + b"\n" for line in lines])
