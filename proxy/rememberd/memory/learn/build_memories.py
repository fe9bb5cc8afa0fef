"""Makes the memories of a turn: its episode, and the facts that the extractors can prove."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from prometheus_client import Counter

from rememberd.memory.ids import episode_id, fact_id
from rememberd.memory.recall.block import without_block
from rememberd.memory.safety.quarantine import injection_reason, quarantine_if_suspicious, quarantined
from rememberd.memory.safety.redact import redact
from rememberd.types import Evidence, Fact, Memory, Turn

# About 2,000 tokens per side. A longer side is pasted material: recall reads 120 words of it and the embedder 256
# tokens, but the store would have it in every copy of the payload.
SIDE_CHARS = 8_000
TAIL_CHARS = 2_000

REDACTED = Counter("rememberd_redactions", "Secrets kept out of memory.", ["kind"])
UNPROVEN = Counter("rememberd_facts_unproven", "Facts dropped: their evidence is not in the user's text.")


def redacted(turn: Turn, too: Collection[str] = ()) -> Turn:
    """The same turn without secrets (and the kinds of `PERSONAL` in `too`) and without our context block on either
    side; unchanged if this was already done before it was queued.

    If a side is too long, only the part that is stored is read, with a margin, so that no secret is cut in two:
    reading a megabyte would block every recall for seconds."""
    if turn.redacted:
        return turn
    user_text, answer = (
        redact(_ends(without_block(side), 2 * SIDE_CHARS, 2 * TAIL_CHARS), too)
        for side in (turn.user_text, turn.answer)
    )
    for counts in (user_text.counts, answer.counts):
        for kind, count in counts.items():
            REDACTED.labels(kind).inc(count)
    speaker = speaker_name(turn.speaker, too)
    return replace(turn, user_text=user_text.text, answer=answer.text, speaker=speaker, redacted=True)


def speaker_name(given: str | None, too: Collection[str] = ()) -> str | None:
    """None if it is a secret or an order, which is not a name."""
    return given if given and redact(given, too).text == given and not injection_reason(given) else None


def episode(turn: Turn) -> Memory:
    """The exchange, verbatim up to `SIDE_CHARS` per side; in quarantine if it gives orders. `turn` is redacted."""
    said = cut(turn.user_text)
    text = f"User: {said}\nAssistant: {cut(turn.answer)}" if turn.answer else f"User: {said}"
    return quarantine_if_suspicious(_memory(turn, episode_id(turn.space, turn.id), text, said))


def facts(turn: Turn, found: Sequence[Fact]) -> list[Memory]:
    """The facts of a redacted turn that are in the user's own words. If the message gives orders to assistants, the
    user probably did not write it, and all its facts are in quarantine."""
    proven = [fact for fact in found if fact.evidence.strip() and fact.evidence in turn.user_text]
    UNPROVEN.inc(len(found) - len(proven))
    screen = quarantined if proven and injection_reason(turn.user_text) else quarantine_if_suspicious
    return [screen(_fact(turn, fact)) for fact in proven]


def cut(text: str) -> str:
    """The head and tail of an over-long text: a question comes before or after a pasted text."""
    return _ends(text, SIDE_CHARS, TAIL_CHARS)


def _ends(text: str, most: int, tail: int) -> str:
    return text if len(text) <= most else f"{text[: most - tail]}\n[…]\n{text[-tail:]}"


def _fact(turn: Turn, fact: Fact) -> Memory:
    memory = _memory(turn, fact_id(turn.space, fact.text, contributor=turn.contributor), fact.text, fact.evidence)
    return replace(
        memory, kind="fact", slot=fact.slot, valid_from=fact.valid_from or turn.created_at, expires_at=fact.expires_at
    )


def _memory(turn: Turn, memory_id: str, text: str, evidence: str) -> Memory:
    return Memory(
        id=memory_id,
        text=text,
        kind="episode",
        created_at=turn.created_at,
        updated_at=turn.created_at,
        valid_from=turn.created_at,
        evidence=Evidence(evidence, "user", turn.said_in),
        source=turn.source,
        speaker=turn.speaker,
        group=turn.space.group,
        contributor=turn.contributor,
    )
