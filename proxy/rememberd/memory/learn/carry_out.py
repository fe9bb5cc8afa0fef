"""A wish about the memory, carried out: what goes, and what the model is told about it.

Precision comes first: what says the same as the wish goes, past values too. If several things may be meant, or none,
nothing goes, and the model is told which memories come near."""

# ruff: noqa: E501  a pattern's alternatives stay together

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rememberd.memory.learn.forget import forget
from rememberd.memory.learn.memory_commands import MemoryCommand
from rememberd.memory.learn.over import stated_in
from rememberd.memory.recall.block import clean, sides
from rememberd.memory.text_similarity import content
from rememberd.ports import Embedder, MemoryStore
from rememberd.types import Memory, Millis, Space

SHOWN = 5  # candidates that the model is told
_PAGE, _FACTS = 500, 2_000

# What a wish names without its value ("where I live", "my age"), and the attributes that are meant.
_TOPICS = (
    (
        r"(?:where (?:i|we) live|(?:my|our) (?:home|home ?town|city|town|address|home address|place)|wo ich (?:wohne|lebe)|mein(?:e|en)? (?:wohnort|adresse)"
        r"|où j'habite|mon adresse|ma ville|dónde vivo|mi (?:dirección|ciudad)|dove (?:abito|vivo)|il mio indirizzo|onde (?:eu )?moro|meu endereço"
        r"|waar ik woon|mijn adres|hvor jeg bor|var jag bor|min adresse|где я живу|gdzie mieszkam)",
        ("home", "dwelling", "origin", "address"),
    ),
    (r"(?:my name|what i(?:'m| am) called|meinen? namen?|mon nom|mi nombre|il mio nome|o? ?meu nome|mijn naam|navnet mitt|mitt namn)", ("name", "nickname", "surname")),
    (r"(?:my age|how old i am|mein alter|wie alt ich bin|mon âge|mi edad|la mia età|minha idade|mijn leeftijd|alderen min|min ålder)", ("age", "birthday")),
    (r"(?:my birthday|when i was born|meinen? geburtstag|mon anniversaire|mi cumpleaños|il mio compleanno|meu aniversário|mijn verjaardag|bursdagen min)", ("birthday",)),
    (r"(?:my (?:job|employer|work|profession)|where i work|what i do(?: for a living)?|wo ich arbeite|meine[nr]? (?:job|beruf|arbeit)|mon (?:travail|employeur)|mi trabajo|il mio lavoro|meu trabalho|mijn werk|jobben min)", ("job", "employer")),
    (r"(?:my diet|what i eat|meine ernährung|mon régime|mi dieta|la mia dieta|minha dieta|mijn dieet)", ("diet",)),
    (r"(?:my (?:phone|mobile)(?: number)?|my e-?mail(?: address)?|meine (?:telefonnummer|e-?mail)|mon numéro|mi teléfono)", ("contact", "phone", "email")),
    (r"(?:my (?:partner|wife|husband|girlfriend|boyfriend)|my relationship(?: status)?)", ("partner", "relationship")),
)  # fmt: skip
_TOPIC = tuple((re.compile(pattern, re.IGNORECASE), slots) for pattern, slots in _TOPICS)
_ALIKE = frozenset(("home", "origin"))  # "I'm from Oslo" may say where somebody lives
_MARKS = re.compile(r"[^\w\u2000-\U0001FAFF]+")
_NO_CONTENT = frozenset(
    [
        "my",
        "our",
        "mine",
        "i",
        "i'm",
        "we",
        "he",
        "she",
        "they",
        "the",
        "this",
        "that",
        "ich",
        "mein",
        "meine",
        "meinen",
        "meinem",
        "je",
        "mon",
        "ma",
        "mes",
        "mi",
        "mis",
        "yo",
        "jeg",
        "min",
        "mitt",
        "io",
        "mio",
        "mia",
        "eu",
        "meu",
        "minha",
        "ik",
        "mijn",
        "я",
        "мой",
        "моя",
        "about",
        "über",
        "sobre",
        "everything",
        "alles",
    ]
)


@dataclass(frozen=True, slots=True)
class Match:
    """What a wish means; if that is nothing, `near` are the memories that it may have meant."""

    meant: tuple[Memory, ...] = ()
    near: tuple[Memory, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The ids that went, and a sentence for the model; "" if there is nothing to tell."""

    gone: tuple[str, ...]
    note: str


async def carry_out(
    store: MemoryStore,
    embedder: Embedder,
    space: Space,
    command: MemoryCommand,
    now: Millis,
    shown: Callable[[Memory], bool] = lambda _: True,
) -> Done:
    """Doing it again deletes nothing more. `shown`: may the model see this memory?

    Raises `StoreUnavailable`, `EmbedderUnavailable`."""
    if command.kind == "remember":
        return Done((), "The user asked to have this remembered: it is stored right after your answer. Confirm it.")
    if command.kind == "off_record":
        return Done(
            (), "The user asked to keep this conversation out of memory: nothing of it is stored. Confirm it."
        )
    if command.kind == "forget_all":
        return await _all(store, space, command, now)
    match = await find(store, embedder, space, command, now)
    gone: list[str] = []
    for memory in match.meant:
        gone += await forget(store, embedder, space, memory.id, lambda: now)
    return Done(tuple(dict.fromkeys(gone)), _note(command, match, [each for each in match.near if shown(each)]))


async def find(store: MemoryStore, embedder: Embedder, space: Space, command: MemoryCommand, now: Millis) -> Match:
    """The memories that a `forget` or `forget_about` means. Raises `StoreUnavailable`, `EmbedderUnavailable`."""
    facts = await _facts(store, space, now)
    words = _words(command.what)
    if command.kind == "forget_about":
        named = [each for each in facts if words and words <= _words(each.text)]
        episodes = await _episodes(store, embedder, space, command.what, words, now) if words else []
        return Match((*named, *episodes), _near(facts, words))
    if meant := _by_slot(command.what, facts):
        return Match(tuple(meant))
    holding = [each for each in facts if words and words <= _words(each.text)]
    same = [each for each in holding if len(words) >= 2 and 2 * len(words) >= len(_words(each.text))]
    if same or len(holding) == 1:
        return Match(tuple(same or holding))
    if len(words) >= 2 and not holding:
        episodes = await _episodes(store, embedder, space, command.what, words, now)
        if episodes:
            return Match(tuple(episodes))
    return Match((), _near(facts, words))


def _by_slot(what: str, facts: Sequence[Memory]) -> list[Memory]:
    """Those of the attribute that is named, or of the same attribute with the same value."""
    for pattern, slots in _TOPIC:
        if pattern.fullmatch(what.strip()):
            return [each for each in facts if each.slot in slots]
    wish = stated_in(what)
    if wish is None or not wish.value:
        return []
    alike = _ALIKE if wish.slot in _ALIKE else {wish.slot}
    value = set(wish.value)
    return [
        each
        for each in facts
        if (stated := stated_in(each.text)) and stated.slot in alike and set(stated.value) == value
    ]


async def _facts(store: MemoryStore, space: Space, now: Millis) -> list[Memory]:
    facts: list[Memory] = []
    cursor = None
    while len(facts) < _FACTS:
        page, cursor = await store.page(space, limit=_PAGE, now=now, cursor=cursor, kind="fact", include_past=True)
        facts += page
        if cursor is None:
            break
    return facts


async def _episodes(
    store: MemoryStore, embedder: Embedder, space: Space, what: str, words: frozenset[str], now: Millis
) -> list[Memory]:
    """The exchanges in which the user said all of these words."""
    found = await store.search(space, await embedder.dense(what), embedder.query(what), now=now, kind="episode")
    near = await store.get(space, [each.id for each in found])
    return [each for each in near if words <= _words(sides(each)[0])]


async def _all(store: MemoryStore, space: Space, command: MemoryCommand, now: Millis) -> Done:
    if not command.confirmed:
        note = (
            "The user asked to delete all memories. Nothing is deleted yet: ask for a second yes. If they answer"
            ' "Yes, delete all my memories", everything is deleted.'
        )
        return Done((), note)
    gone: list[str] = []
    while True:
        page, _ = await store.page(space, limit=_PAGE, now=now, include_past=True)
        deleted = await store.delete(space, [each.id for each in page], at=now) if page else []
        gone += deleted
        if not deleted:
            break
    return Done(tuple(gone), f"The user confirmed it: all memories ({len(gone)}) were deleted. Confirm that.")


def _near(facts: Sequence[Memory], words: frozenset[str]) -> tuple[Memory, ...]:
    return tuple(each for each in facts if each.valid_to is None and words & _words(each.text))[:SHOWN]


def _note(command: MemoryCommand, match: Match, near: Sequence[Memory]) -> str:
    what = clean(command.what)
    if match.meant:
        return (
            f'The user asked to forget "{what}". Done: {len(match.meant)} memories that say so were deleted, with the'
            " exchanges in which they were said. Confirm it, and do not say it again."
        )
    note = (
        f'The user asked to forget "{what}". Nothing was deleted: no memory clearly says this. Tell the user so, and that'
        ' "Forget that …" with the words of the memory is understood.'
    )
    if near:
        lines = "\n".join(f"- {clean(each.text)}" for each in near)
        return f"{note} These come near; none was deleted:\n{lines}"
    return note


def _words(text: str) -> frozenset[str]:
    """The words that carry meaning; each character of a script without spaces."""
    spaced = re.sub(r"([\u2e80-\ud7ff])", r" \1 ", text)
    return frozenset(word for word in content(spaced) if word not in _NO_CONTENT and not _MARKS.fullmatch(word))
