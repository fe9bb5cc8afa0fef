"""A wish to remember something for a group: "remember for the team that …", in the words of several languages. Pure.

Others read what a group remembers, so the wish must have exactly this form: few words with a verb of remembering, the
group, and then "that", a colon or the end. Only its sentence goes to the group; the other sentences stay private to
the person."""

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rememberd.dialects.attribution_words import MASK
from rememberd.dialects.segments import segment
from rememberd.memory.learn.rules.sentences import sentences

_LONGEST = 2_000  # characters
_FILE = Path(__file__).with_name("wish_words.toml")
_WORDS = {
    name: "|".join(re.escape(word).replace(r"\ ", " ") for word in sorted(words.split(", "), key=len, reverse=True))
    for name, words in tomllib.loads(_FILE.read_text(encoding="utf-8"))["group"].items()
}
_FOR_GROUP = re.compile(
    r"[,:]?\s*(?<!\w)(?:{preposition})\s+(?:@(?P<name>[\w.-]*\w)"
    r"|(?:(?:{whose})\s+|l['’]\s?)?(?:(?P<called>[\w.-]+)[\s-]+)?(?:{team}))(?!\w)".format_map(_WORDS),
    re.IGNORECASE,
)
_THAT = re.compile(r"\s*(?:,?\s*(?:{that})(?!\w)|:|[.!…]*$)".format_map(_WORDS), re.IGNORECASE)
_WISH = re.compile(r"(?:(?:{lead})[, ]+)*(?:{verb})(?: (?:{this}))?".format_map(_WORDS), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GroupWish:
    """`group` is the one that is meant; None if that is not clear. `said` goes there, `rest` stays the person's."""

    group: str | None
    said: str
    rest: str


def group_wish(text: str, groups: Collection[str]) -> GroupWish | None:
    """`groups` are those in which the person may write."""
    if not groups or len(text) > _LONGEST or not _FOR_GROUP.search(text):
        return None
    parts = [text[span.start : span.end] for span in sentences(text)]
    for at, part in enumerate(parts):
        found = _FOR_GROUP.search(part)
        if found is None or not _is_wish(part, found):
            continue
        before, after = part[: found.start()], part[found.end() :]
        if after.strip(" .,:!…"):
            return GroupWish(_meant(found, groups), before + after, "\n".join(parts[:at] + parts[at + 1 :]))
        if parts[at + 1 :]:
            return GroupWish(_meant(found, groups), "\n".join(parts[at + 1 :]), "\n".join(parts[:at]))
    return None


def _is_wish(part: str, found: re.Match[str]) -> bool:
    before, after = part[: found.start()], part[found.end() :]
    if part.rstrip().endswith("?") or not _WISH.fullmatch(before.strip()) or not _THAT.match(after):
        return False
    return MASK not in segment(part).masked()


def _meant(found: re.Match[str], groups: Collection[str]) -> str | None:
    """The named group; if none is named, the only one. "My football team" names a group that is not here."""
    if named := found["name"] or found["called"]:
        return {each.casefold(): each for each in groups}.get(named.casefold())
    return next(iter(groups)) if len(groups) == 1 else None
