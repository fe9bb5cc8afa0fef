"""Marks by which a text sets somebody else's words apart: fences, elements and quotation, and the shapes of lines
that are not typed: headings, labels, speakers, logs, lists. Pure; every pattern runs in linear time."""

import re
from collections.abc import Iterable, Iterator

from rememberd.dialects.handing_words import FIRST_PERSON, HOLE, OWNED

Span = tuple[int, int]

_FENCE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`", re.DOTALL)
# Each class excludes its own opening mark, so that a row of opening marks costs one pass.
_QUOTE = re.compile(r"(?<!\w)[\"'‘]|[“«»„「『]")
_QUOTATION = re.compile(
    r"(?<!\w)\"(?=\S)[^\"]{1,4000}\"(?!\w)|“[^“”]{1,4000}”|«[^«»]{1,4000}»|»[^«»\n]{1,400}«|„[^„“”]{1,4000}[“”]|「[^「」]{1,4000}」|『[^『』]{1,4000}』"
    r"|(?<!\w)['‘](?=\S)[^'‘’\n]{3,400}['’](?!\w)|(?<!\w)'(?=\S)(?:[^'\n]|(?<=\w)'(?=\w)){3,400}(?<=[.!?])'(?!\w)"
)
_TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]{0,40})(?:\s[^<>]{0,300})?(/?)>")
_TITLE = re.compile(
    r"(?:[^\W\d_a-zß-öø-ÿ]\w*|\d+|\w{1,3}(?=\W))(?:[\s'’&,:-]+(?:[^\W\d_a-zß-öø-ÿ][\w'’.]*|\d+|\w{1,3}))*[!?]?"
)
_CONTRACTED = re.compile(r"\bi['’]", re.IGNORECASE)


def inside_quotation(text: str) -> Span:
    """A message that as a whole stands in quotation marks is its sender's own (terminal clients send arguments so):
    the span of its words; of any other message all of it."""
    words = text.strip()
    if len(words) < 3 or words[0] not in '"“«„「' or words[-1] not in '"”»“」' or '"' in words[1:-1]:
        return 0, len(text)
    start = text.index(words[0])
    return start + 1, start + len(words) - 1


def marked_spans(text: str) -> Iterator[Span]:
    """What is handed in, in no order; spans may lie in one another."""
    for found in _FENCE.finditer(text):
        if found[0].startswith(("```", "~~~")) or not _is_mention(found[0][1:-1]):
            yield found.span()
    yield from _elements(text)
    if _QUOTE.search(text):
        for found in _QUOTATION.finditer(text):
            if not _is_mention(found[0][1:-1]):
                yield found.span()


def _is_mention(quoted: str) -> bool:
    """A title or a word in quotation marks: a part of the person's own sentence."""
    if "\n" in quoted or len(quoted) > 120:
        return False
    if len(quoted) < 60 and _TITLE.fullmatch(quoted) and not _CONTRACTED.match(quoted):
        return True
    return not FIRST_PERSON.search(quoted.lower())


def _elements(text: str) -> Iterator[Span]:
    """Elements with a closing tag, outermost first; an opening tag that starts a line and is never closed reaches to
    the end."""
    tags = list(_TAG.finditer(text)) if "<" in text else []
    last = {tag[2].lower(): tag.end() for tag in tags if tag[1]}
    position = 0
    for tag in tags:
        if tag.start() < position or tag[1] or tag[3]:
            continue
        end = last.get(tag[2].lower(), 0)
        if end > tag.end():
            yield tag.start(), end
            position = end
        elif not end and not text[max(0, tag.start() - 100) : tag.start()].rpartition("\n")[2].strip():
            yield tag.start(), len(text)
            return


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, without overlaps."""
    joined: list[Span] = []
    for start, end in sorted(each for each in spans if each[1] > each[0]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def blanked(text: str, spans: Iterable[Span]) -> str:
    """The text with holes in these spans; line ends and offsets stay."""
    kept, position = [], 0
    for start, end in merged(spans):
        kept += [text[position:start], re.sub(r"[^\n]", HOLE, text[start:end])]
        position = end
    return "".join(kept) + text[position:]


SEPARATOR = re.compile(r"\s*([^\w\s\x00])\1{2,}\s*|\s*(?:[-*_] ){2,}[-*_]\s*")
STRUCTURED = re.compile(
    r"\s*(?:\[\d{1,3}\]\s|§|[★☆¹²³⁴⁵⁶⁷⁸⁹†‡①-⑳]|>(?!>>)|\||\{(?!\{)|\}(?!\})|\[\{|\"[^\"\n]{1,60}\"\s*:|\x00+\s*:|<[!?/])"
    r"|(?:    |\t)\S|\s*\[?\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?\]?\s+\S"
    r"|\s*\[?\d{1,4}[-/.:]\d{1,2}[-/.:]?\d{0,4}[\sT,]*(?:\d{1,2}:\d\d\S*)?\]?\s*[-–:\]]\s*\S"
)
SUBTITLE = "-->"  # in the line with the times of a subtitle, above its words
HEADING = re.compile(
    r"\s*(?:#{1,6}\s+(?P<hash>[^\n]{1,80}?)[\s#]*|([^\w\s\x00])\2+\s*(?P<rule>\w[^\n]{0,80}?)\s*\2{2,}"
    r"|[\[【](?P<box>[^\]】\n]{1,80})[\]】]"
    r"|(?P<file>[\w./\\~-]*\w\.[a-z]\w{0,4})(?: ?\([^()\n]{1,40}\))?"
    r"|(?P<sender>@?\w[\w .'’-]{0,30}?)[\s,·—–-]+(?:[a-z]+ [a-z]+ )?\d{1,2}[:.]\d\d(?: ?[ap]m)?"
    r"|[^\w\s\x00]{2,3}(?P<marks>\s*[/\w+-][^\n]{0,60}?)[^\w\s\x00]{2,3}"
    r"|(?:[$%❯]|>>>|\w+@\w\S*[$#]|In \[\d+\]:)\s+(?P<command>\S[^\n]{0,200}))\s*[:：]?\s*"
)
BRACKETED = re.compile(
    r"\s*(?:[-*•]\s*)?(?:\*\*|__)?(?:[\[【](?P<box>[^\]】\n]{1,60})[\]】]|<(?P<angle>[^<>\n]{1,40})>|\((?P<round>[A-ZÀ-Þ0-9][^()\n]{0,40})\))(?:\*\*|__)?\s*[:：,–-]?\s*(?=\S)"
)
COLON = re.compile(r"[:：](?=[\s*_]|$)|：|(?<=\D):(?=[\"“„«A-ZÀ-Þ])")
DASHED = re.compile(
    r"\s*@?(?P<nick>[\w.]{1,20}) ?[>|»] +"
    r"|\s*(?P<who>[^\W\d_a-z][\w.'’]*(?: [^\W\d_a-z][\w.'’]*){0,3})(?:\s+[-–—|>→]+|[–—])\s+"
)
ITEM = re.compile(r"\s*(?:[-*•+·]|\(?(?:\d{1,2}|[a-zA-Z])[.)])\s+")
# The look-behind keeps a long run of "????" from being read again from each of its characters.
SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]+[\"')\]]*\s+|[。！？]|\s[-–—]{1,2}\s")
BARE_LABEL = re.compile(r"[^\n:：]{1,40}[:：]\s*")
SHORT_LABEL = re.compile(r"\W*\w+(?: \w+)?\W{0,3}[:：]\W*\w")
SPEAKER_LABEL = re.compile(r"\W*[^\s:：]{1,20}(?: [^\s:：]{1,20}){0,2} ?[:：]\s*\S")
NO_PRONOUNS = re.compile(r"[぀-ヿ一-鿿가-힣]")  # "I" is mostly left out there
MARK_BEGINS = (HOLE, *'"“«„「『‘')
QUOTED = re.compile(rf"{HOLE}|[\"“«„「『][^\"”»“」』]+[\"”»“」』]|(?<!\w)['‘][^'’]+['’](?!\w)")


def is_labelled(text: str) -> bool:
    """Does a line begin with a speaker, a label or a mark: "Ana: …", "[10:42] …", "- …"?"""
    return bool(SPEAKER_LABEL.match(text) or BRACKETED.match(text) or STRUCTURED.match(text) or ITEM.match(text))


def sentences(text: str) -> Iterator[str]:
    start = 0
    for end in SENTENCE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    yield text[start:]


_OWN_LABEL = re.compile(rf"(?:{OWNED.pattern.pattern}) [\w-]+(?: [\w-]+)?:|(?P<self>me|ich|moi|yo|io|eu):")


def is_own_list(text: str) -> bool:
    """Is every sentence a label of the writer's with a value: "My diet: no soy. My city: Porto."?"""
    for part in re.split(r"[.;]\s+", text.strip().lower()) if len(text) <= 1_000 else [""]:
        label = _OWN_LABEL.match(part)
        if label is None:
            return False
        if label["self"] is None and any(
            part[found.end() :][:1] == " " for found in FIRST_PERSON.finditer(part, label.end())
        ):
            return False
    return True
