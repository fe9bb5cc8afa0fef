"""Requests that everybody may make. If these do not find the user's own memories, the attacks prove nothing."""

from __future__ import annotations

from loadtests.attack.attempt import QUESTION, QUESTIONS, READ, Attempt, Game, ask, chat
from loadtests.attack.leaks import DEFAULT, OPEN, WORK
from loadtests.attack.people import HOME, Person


def same_instant(person: Person) -> Attempt:
    """Byte for byte what everybody asks at this moment, the credentials aside."""
    headers = [*person.credentials(), READ, ("X-Conversation-Id", "the same"), ("X-Request-Id", "the-same")]
    return Attempt(chat(headers, QUESTION), person.number, DEFAULT, honest=True)


def asks(game: Game) -> Attempt:
    headers = [*game.me.credentials(), READ]
    return Attempt(chat(headers, game.chance.choice(QUESTIONS)), game.me.number, DEFAULT, honest=True)


def asks_in_every_dialect(game: Game) -> Attempt:
    messages = [{"role": "user", "content": QUESTION}]
    path, body = game.chance.choice(
        (
            ("/v1/messages", {"messages": messages, "max_tokens": 9}),
            ("/v1/responses", {"input": QUESTION}),
            ("/api/chat", {"messages": messages, "stream": False}),
        )
    )
    data = ask("POST", path, [*game.me.credentials(), READ], {"model": "away"} | body)
    return Attempt(data, game.me.number, DEFAULT, honest=True)


def asks_a_local_model(game: Game) -> Attempt:
    """A local model, which may be told what is private. It must not stay in what other models are told."""
    question = "What is my sister's secret nickname?"
    return Attempt(chat([*game.me.credentials(), READ], question, HOME), game.me.number, OPEN, honest=True)


def talks(game: Game) -> Attempt:
    """The chat is learned from."""
    text = f"I bought thing number {game.chance.randrange(1000)} today. {game.chance.choice(QUESTIONS)}"
    model, kinds = game.chance.choice((("away", DEFAULT), (HOME, OPEN)))
    return Attempt(chat(game.me.credentials(), text, model), game.me.number, kinds, honest=True)


def asks_in_a_scope(game: Game) -> Attempt:
    headers = [*game.me.credentials(), READ, ("X-Memory-Scope", "work")]
    return Attempt(chat(headers, "What code name has our project?"), game.me.number, WORK, honest=True)


def searches(game: Game) -> Attempt:
    data = ask("POST", "/v1/memories/search", game.me.credentials(), {"query": QUESTION, "limit": 50})
    return Attempt(data, game.me.number, honest=True)


def lists(game: Game) -> Attempt:
    path = game.chance.choice(
        ("/v1/memories?limit=500", "/v1/memories?limit=500&include_past=1", "/v1/memories/export")
    )
    return Attempt(ask("GET", path, game.me.credentials()), game.me.number, honest=True)


def reads(game: Game) -> Attempt:
    path = f"/v1/memories/{game.chance.choice(game.me.ids[:-1])}"
    return Attempt(ask("GET", path, game.me.credentials()), game.me.number, honest=True)


def borrows_the_connection(game: Game) -> Attempt:
    """The next request of the same connection is another person's."""
    return Attempt(ask("GET", "/v1/memories", game.victim.credentials()), game.victim.number, honest=True)
