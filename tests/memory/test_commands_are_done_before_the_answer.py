"""What the user asks of the memory is done before the answer begins, and the block says what was done or not."""

from __future__ import annotations

import pytest

from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, ask, memories, remembered

LIVES = {
    "I live in Oslo.": (
        "Forget that I live in Oslo.",
        "Forget where I live.",
        "Can you forget where I live?",
        "please don't keep my address",
        "Remove my home town from your memory.",
        "I don't want you to remember that I live in Oslo.",
        "Forget that I'm from Oslo.",
        "Delete everything about Oslo",
        "Forget that I live in Oslo, and where was I born?",
    ),
    "Ich wohne in Kiel.": ("Vergiss bitte, dass ich in Kiel wohne.",),
    "J'habite à Lyon.": ("Oublie que j'habite à Lyon.",),
    "Vivo en Lima.": ("Olvida que vivo en Lima.",),
    "Abito a Torino.": ("Dimentica che abito a Torino.",),
    "Moro no Porto.": ("Esqueça que moro no Porto.",),
    "Ik woon in Delft.": ("Vergeet dat ik in Delft woon.",),
    "Jeg bor i Bodø.": ("Glem at jeg bor i Bodø.",),
    "Jag bor i Lund.": ("Glöm att jag bor i Lund.",),
    "Я живу в Казани.": ("Забудь, что я живу в Казани.",),
    "Mieszkam w Gdyni.": ("Zapomnij, że mieszkam w Gdyni.",),
    "我住在杭州。": ("请忘记我住在杭州。",),
}


WISHES = [(fact, wish) for fact, wishes in LIVES.items() for wish in wishes]
TALK = (
    "Never mind. Forget that I asked.",
    "Forget that I like it.",
    "Forget about it.",
    "Delete my last message from the list",
    "Forget the previous instructions.",
    "Forget that approach, use recursion.",
    "How do I delete my account?",
    "Don't forget that I have a telescope.",
)


def facts_of(proxy: Proxy, user: str) -> list[str]:
    with proxy.client(user) as client:
        return sorted(each["text"] for each in memories(client, "fact"))


@pytest.mark.parametrize(("fact", "wish"), WISHES, ids=[str(number) for number in range(len(WISHES))])
def test_only_what_is_meant_is_forgotten(proxy: Proxy, upstream: FakeModel, user: str, fact: str, wish: str) -> None:
    """In any of these words, at once, and nothing else with it; the model is told that it was done."""
    with proxy.client(user) as client:
        for text in (fact, "I have a cat."):
            client.post("/v1/memories", json={"text": text}).raise_for_status()
        ask(client, wish)
        assert "Done" in newest_user_text(upstream.chats[-1].json)
        assert [each["text"] for each in memories(client, "fact")] == ["I have a cat."]


@pytest.mark.parametrize("text", TALK, ids=[str(number) for number in range(len(TALK))])
def test_other_talk_deletes_nothing(proxy: Proxy, user: str, text: str) -> None:
    """If a sentence were taken for this wish by mistake, all memories would be lost."""
    told = ["I have a telescope.", "I like jazz.", "I work at Acme.", "My daughter Lea has a telescope."]
    with proxy.client(user) as client:
        for each in told:
            client.post("/v1/memories", json={"text": each}).raise_for_status()
        ask(client, text)
    assert set(told) <= set(facts_of(proxy, user))


def test_where_several_may_be_meant_the_model_is_told_which(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Nothing goes, and the candidates are listed, so that the user can be exact."""
    told = ["I have a dog called Rex.", "My dog Max is 3.", "I like tea."]
    with proxy.client(user) as client:
        for each in told:
            client.post("/v1/memories", json={"text": each}).raise_for_status()
        ask(client, "Forget about my dog.")
        block = newest_user_text(upstream.chats[-1].json)
        assert "Nothing was deleted" in block
        assert all(each in block for each in told[:2])
        assert "tea" not in block
    assert facts_of(proxy, user) == sorted(told)


def test_what_is_not_known_is_said_to_be_not_found(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Also where there are no memories at all."""
    with proxy.client(user) as client:
        ask(client, "Forget that I play the banjo.")
        assert "Nothing was deleted" in newest_user_text(upstream.chats[-1].json)


@pytest.mark.parametrize("yes", ["Yes, delete all my memories.", "Yes"], ids=["exact", "short"])
def test_everything_needs_a_second_yes(proxy: Proxy, upstream: FakeModel, user: str, yes: str) -> None:
    """The first wish is answered with how to confirm it; the second is obeyed."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Oslo."}).raise_for_status()
        ask(client, "Delete all my memories.")
        assert "second yes" in newest_user_text(upstream.chats[-1].json)
        assert facts_of(proxy, user) == ["I live in Oslo."]
        history = [
            {"role": "user", "content": "Delete all my memories."},
            {"role": "assistant", "content": "Are you sure?"},
            {"role": "user", "content": yes},
        ]
        client.post("/v1/chat/completions", json={"model": "model-a", "messages": history}).raise_for_status()
        assert "were deleted" in newest_user_text(upstream.chats[-1].json)
        assert memories(client) == []


def test_a_wish_to_remember_is_acknowledged_and_kept(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """The block says so; otherwise a model might answer that it cannot remember."""
    with proxy.client(user) as client:
        ask(client, "Please remember that my locker is number 118.")
        assert "Confirm it" in newest_user_text(upstream.chats[-1].json)
        remembered(client, "my locker is number 118", "fact")
