"""Who is told to have another name is found by it: "Kate, also Emi"."""

from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.aliases import aliases_in, with_other_names
from rememberd.memory.recall.recall import Recall
from rememberd.storage.edge.store import EdgeStore
from tests.support.proxy_server import Proxy
from tests.support.retrieval_rig import ADA, NOW, PLACES, memory, rig

NAMES = [("Katharina", "Kati"), ("Robert", "Bob"), ("Ingeborg", "Inge"), ("Oluwaseun", "Seun"), ("Philippa", "Pip")]
UNLIKE = [("Kate", "Emi"), ("Tomás", "Zeta"), ("Zhanna", "Misha"), ("Wanda", "Bibi"), ("Léo", "Tiger")]

# What is told of {one}, who is also {two}.
TOLD = {
    "en": [
        "My friend {one}, also {two}, lives in Oslo.",
        "{one} (also known as {two}) called me today.",
        "{one}, aka {two}, is my neighbour",
        "My sister {one} moved out. Everybody calls her {two}.",
        "My younger brother {one} is here; we call him {two}!",
        "{one} goes by {two} at work.",
        "{two} is short for {one}.",
        "my cousin {one}, {two} for short, paints",
        'I met {one} "{two}" Miller.',
        "His real name is {one}, but his friends call him {two}.",
    ],
    "de": [
        "Meine Schwester {one}, kurz {two}, wohnt in Bonn.",
        "Mein Bruder {one} wohnt in Bonn. Alle nennen ihn {two}.",
        "{one}, von allen {two} genannt, kommt morgen.",
    ],
    "fr": [
        "Ma sœur {one}, dite {two}, habite Lyon.",
        "Mon frère {one}, on l'appelle {two}.",
        "{one}, surnommée {two}.",
    ],
    "es": ["Mi hermana {one}, {two} para los amigos, vive aquí.", "A mi prima {one} la llaman {two}."],
    "it": ["Mia sorella {one}, detta {two}, vive a Roma.", "Mio fratello {one}: tutti lo chiamano {two}."],
    "pt": ["Minha irmã {one}, mais conhecida como {two}, mora aqui."],
    "nl": ["Mijn zus {one}, iedereen noemt haar {two}.", "{one}, kortweg {two}, komt ook."],
    "sv": ["Min syster {one}, kallad {two}, bor i Lund.", "Min bror {one}, alla kallar honom {two}."],
    "pl": ["Moja siostra {one}, mówimy na nią {two}.", "{one}, zwana {two}, jest lekarką."],
    "tr": ["{one}, nam-ı diğer {two}, bugün geldi.", "{one} geldi. Herkes ona {two} der."],
}
OF_RELATIVES = [
    ("My grandmother lives in Bonn. Everybody calls her Bibi.", "grandmother"),
    ("We call our grandmother Bibi.", "grandmother"),
    ("Meine Oma, alle nennen sie Bibi, wohnt in Bonn.", "Oma"),
    ("A mi abuela la llaman Bibi.", "abuela"),
]
NO_NAMES = [
    "Kate, also a nurse",
    "Kate, also German, lives here.",
    "I met Kate, also Emi was there.",
    "Kate, also Emi and Tom, came.",
    "Robert (Oslo) wrote, Robert (Berlin) did not.",
    "Robert (my boss) wrote.",
    "Paris (Texas) is small.",
    "Kate called her on Monday.",
    "Can you call her Tuesday?",
    "Everybody calls her brilliant.",
    "Anna, also Captain of the team, won.",
    "Kate, auch Lehrerin, kommt.",
    "Keine Histamine, also Rotwein, Tomaten und Käse.",
    "I call Robert Smith every day.",
    "Kate and Emi are friends.",
    "London, also known as the Big Smoke",
    "INSERT INTO people VALUES ('Ray', 'Sue');",
    "everybody calls her Bibi",  # nobody knows whom
]


def test_other_names_are_read_in_many_wordings() -> None:
    """Of every name in every wording of ten languages."""
    missed = [
        told
        for forms in TOLD.values()
        for form in forms
        for one, two in [*NAMES, *UNLIKE]
        for told in [form.format(one=one, two=two)]
        if not any({one, two} <= set(" ".join(pair).split()) for pair in aliases_in(told))
    ]
    assert missed == []


def test_a_relative_may_be_meant() -> None:
    """A person without a name in the sentence is known by the word for them: "grandmother"."""
    assert [text for text, who in OF_RELATIVES if (who, "Bibi") not in aliases_in(text)] == []


def test_what_only_looks_like_a_name_is_none() -> None:
    """A trade, a people, a place, somebody else."""
    assert {text: found for text in NO_NAMES if (found := aliases_in(text))} == {}


def test_a_question_is_asked_with_both_names_once() -> None:
    """Whichever of them it has, in any case; and no name is added that it has already."""
    pairs = [("Kate", "Emi")]
    assert with_other_names("What does emi eat?", pairs) == "What does emi (Kate) eat?"
    assert with_other_names("Kate's food?", pairs) == "Kate (Emi)'s food?"
    for plain in ("Are Kate and Emi one?", "Who is Emily?"):
        assert with_other_names(plain, pairs) == plain


ALIAS = memory("My friend Kate, also Emi, lives in Oslo.")


@pytest.mark.parametrize("place", PLACES)
async def test_a_question_is_asked_with_the_other_name(place: str, tmp_path: Path) -> None:
    """As long as it is remembered that both are one, and by whom it may be; wherever the store is."""
    async with rig(place, tmp_path) as each:
        await each.tell(ADA, ALIAS)
        await each.ask("What about Emi?")
        assert each.embedder.asked[-1] == "What about Emi (Kate)?"
        await each.tell(ADA, replace(ALIAS, private=True))
        await each.ask("What of Emi?", private=False)
        assert each.embedder.asked[-1] == "What of Emi?"
        await each.store.delete(ADA, [ALIAS.id], at=NOW)
        await each.ask("And what about Emi?")
        assert each.embedder.asked[-1] == "And what about Emi?"


async def test_what_was_told_by_one_name_is_found_by_the_other(tmp_path: Path) -> None:
    """What Kate cannot stand is found for Emi, in a chat and in a search; without the memory that tells that they are
    one it is not."""
    embedder, told = FastEmbedder(), memory("User: Kate cannot stand mussels.", "episode", days_ago=20)
    await embedder.start()
    store = EdgeStore.open(tmp_path, dim=embedder.dim, embedder=embedder.name)
    recall = Recall(store, embedder, deadline_ms=30_000)
    others = [memory(f"User: The {what} is new.", "episode", days_ago=30) for what in ("roof", "lawn", "door")]
    await store.put(ADA, [await to_point(each, embedder) for each in (ALIAS, told, *others)])
    for known in (True, False):
        found = await recall.recall(ADA, "Which food must Emi not get?", now=NOW, turn_id=None, conversation=None)
        assert (told.id in found.ids) == known
        searched = {each.memory.id: each.score for each in await recall.search(ADA, "Emi", now=NOW, limit=10)}
        assert (searched[told.id].words > 0) == known
        await store.delete(ADA, [ALIAS.id], at=NOW)
    await store.close()
    embedder.close()


def test_other_names_are_shown_and_deleted_with_their_memory(proxy: Proxy, user: str) -> None:
    """Beside the person, and where a memory is explained."""
    with proxy.client(user) as client:
        made = client.post("/v1/memories", json={"text": "My sister Katharina, Kati for short, paints."}).json()
        client.post("/v1/memories", json={"text": "My sister Katharina hates snow."}).raise_for_status()
        assert client.get(f"/v1/memories/{made['id']}/why").json()["aliases"] == [["Katharina", "Kati"]]
        people = client.get("/v1/memories/groups").json()["people"]
        assert people == [{"name": "sister Katharina", "count": 2, "also": ["Kati"]}]
        client.delete(f"/v1/memories/{made['id']}").raise_for_status()
        people = client.get("/v1/memories/groups").json()["people"]
        assert people == [{"name": "sister Katharina", "count": 1, "also": []}]
