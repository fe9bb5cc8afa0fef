"""A memory that reads like an order to an assistant is stored but not recalled until its owner allows it: malicious
text may be pasted, answered or imported, and would otherwise act in every later chat."""

import re
from dataclasses import replace

from prometheus_client import Counter

from rememberd.memory.recall.block import sides
from rememberd.memory.safety.deobfuscate import decoded_variants, hidden_text
from rememberd.memory.safety.injection_patterns import MARKUP, order, possible_orders
from rememberd.memory.safety.visible_text import shown
from rememberd.types import NEVER, Memory

QUARANTINED = Counter(
    "rememberd_quarantined", "Memories kept and not recalled: they read like orders to an assistant."
)

_BLANK = re.compile(r"\s+")


def injection_reason(text: str) -> str | None:
    """Why `text` is taken for an order to an assistant; None if it is not."""
    if re.search(r"\w", hidden_text(text)):
        return "hides words in invisible characters"
    if MARKUP.search(text) or MARKUP.search(shown(text)):
        return "forges the markup of a chat"
    read = _BLANK.sub(" ", decoded_variants(text))
    return next((reason for reason in possible_orders(read) if order(reason).search(read)), None)


def quarantine_reason(memory: Memory) -> str | None:
    """`injection_reason` of its text, also after the speaker's name, as the block shows it. The sides of an exchange
    are checked separately, because "Assistant:" before the answer is ours."""
    said = [memory.text] if memory.kind == "fact" else [*sides(memory)]
    if memory.speaker:
        said.append(f"{memory.speaker}: {said[0]}")
    return next(filter(None, (injection_reason(side.strip()) for side in said)), None)


def quarantined(memory: Memory) -> Memory:
    """The same memory, as one that was never current. It has no slot, so that it replaces nothing."""
    QUARANTINED.inc()
    return replace(memory, valid_to=NEVER, slot=None, pinned=False)


def quarantine_if_suspicious(memory: Memory) -> Memory:
    """`memory`, quarantined if its text is suspicious."""
    return quarantined(memory) if quarantine_reason(memory) else memory
