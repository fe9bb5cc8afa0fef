"""Patterns for other people's words: fences, elements and quotations, and lines that nobody typed (headings, labels,
speakers, logs, lists). No I/O; every pattern runs in linear time."""

import re
from collections.abc import Iterable, Iterator

from rememberd.dialects.attribution_words import FIRST_PERSON, MASK, OWNED

Span = tuple[int, int]

_FENCE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`", re.DOTALL)
# Each class excludes its opening mark, so that a row of opening marks is read once.
_QUOTE = re.compile(r"(?<!\w)[\"'‘]|[“«»„「『]")
_QUOTATION = re.compile(
    r"(?<!\w)\"(?=\S)[^\"]{1,4000}\"(?!\w)|“[^“”]{1,4000}”|«[^«»]{1,4000}»|»[^«»\n]{1,400}«|„[^„“”]{1,4000}[“”]|「[^「」]{1,4000}」|『[^『』]{1,4000}』"
    r"|(?<!\w)['‘](?=\S)[^'‘’\n]{3,400}['’](?!\w)|(?<!\w)'(?=\S)(?:[^'\n]|(?<=\w)'(?=\w)){3,400}(?<=[.!?])'(?!\w)"
)
_TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]{0,40})(?:\s[^<>]{0,300})?(/?)>")
_TITLE = re.compile(
    r"(?:[^\W\d_a-zß-öø-ÿ]\w*|\d+|\w{1,3}(?=\W))(?:[\s'’&,:-]+(?:[^\W\d_a-zß-öø-ÿ][\w'’.]*|\d+|\w{1,3}))*[!?]?"
)
_SENTENCE = re.compile(r"\w[.!?…。！？]")
_MARGIN = 40  # characters, in which only spaces may stand beside it
_CONTRACTED = re.compile(r"\bi['’]", re.IGNORECASE)


def inside_quotation(text: str) -> Span:
    """The span of the words of a message that is quoted as a whole: these are the sender's own (terminal clients
    quote arguments). For other messages, the span of the whole message."""
    words = text.strip()
    if len(words) < 3 or words[0] not in '"“«„「' or words[-1] not in '"”»“」' or '"' in words[1:-1]:
        return 0, len(text)
    start = text.index(words[0])
    return start + 1, start + len(words) - 1


def marked_spans(text: str) -> Iterator[Span]:
    """Handed-in spans, unordered; they may overlap."""
    for found in _FENCE.finditer(text):
        if found[0].startswith(("```", "~~~")) or not _is_mention(found[0][1:-1]):
            yield found.span()
    yield from _elements(text)
    if _QUOTE.search(text):
        for found in _QUOTATION.finditer(text):
            if _is_paragraph(text, found) or not _is_mention(found[0][1:-1]):
                yield found.span()


def _is_paragraph(text: str, found: re.Match[str]) -> bool:
    """True for a quoted sentence on its own lines: somebody else wrote it, also if it is about the user."""
    before = text[max(found.start() - _MARGIN, 0) : found.start()].rpartition("\n")
    after = text[found.end() : found.end() + _MARGIN].partition("\n")
    alone = bool(before[1] or after[1]) and not before[2].strip() and not after[0].strip()
    return alone and _SENTENCE.search(found[0]) is not None


def _is_mention(quoted: str) -> bool:
    """True for a title or a word in quotation marks, which is part of the person's own sentence."""
    if "\n" in quoted or len(quoted) > 120:
        return False
    if len(quoted) < 60 and _TITLE.fullmatch(quoted) and not _CONTRACTED.match(quoted):
        return True
    return not FIRST_PERSON.search(quoted.lower())


def _elements(text: str) -> Iterator[Span]:
    """Elements with a closing tag, outermost first. An opening tag that begins a line and is never closed extends to
    the end of the text."""
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
    """The same spans, sorted and without overlaps."""
    joined: list[Span] = []
    for start, end in sorted(each for each in spans if each[1] > each[0]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def blanked(text: str, spans: Iterable[Span]) -> str:
    """The text with these spans masked; line ends and offsets stay."""
    kept, position = [], 0
    for start, end in merged(spans):
        kept += [text[position:start], re.sub(r"[^\n]", MASK, text[start:end])]
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
    r"|(?P<post>[^\s·•|][^\n·•|]{0,60}(?:\s[·•|]\s[^\n·•|]{1,60}){1,5})"
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
# Because of the look-behind, a long run of "????" is read only once.
SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]+[\"')\]]*\s+|[。！？]|\s[-–—]{1,2}\s")
BARE_LABEL = re.compile(r"[^\n:：]{1,40}[:：]\s*")
SHORT_LABEL = re.compile(r"\W*\w+(?: \w+)?\W{0,3}[:：]\W*\w")
SPEAKER_LABEL = re.compile(r"\W*[^\s:：]{1,20}(?: [^\s:：]{1,20}){0,2} ?[:：]\s*\S")
NO_PRONOUNS = re.compile(r"[぀-ヿ一-鿿가-힣]")  # scripts of languages that mostly omit "I"
MARK_BEGINS = (MASK, *'"“«„「『‘')
# No mark that opens stands within, or each would be read to the end of the text.
QUOTED = re.compile(rf"{MASK}|[\"“«„「『][^\"“«„”»「『」』]+[\"”»“」』]|(?<!\w)['‘][^'‘’]+['’](?!\w)")


def is_labelled(text: str) -> bool:
    """True if a line begins with a speaker, a label or a mark: "Ana: …", "[10:42] …", "- …"."""
    return bool(SPEAKER_LABEL.match(text) or BRACKETED.match(text) or STRUCTURED.match(text) or ITEM.match(text))


def sentences(text: str) -> Iterator[str]:
    start = 0
    for end in SENTENCE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    yield text[start:]


_OWN_LABEL = re.compile(rf"(?:{OWNED.pattern.pattern}) [\w-]+(?: [\w-]+)?:|(?P<self>me|ich|moi|yo|io|eu):")


def is_own_list(text: str) -> bool:
    """True if every sentence is the sender's own label with a value: "My diet: no soy. My city: Porto."."""
    for part in re.split(r"[.;]\s+", text.strip().lower()) if len(text) <= 1_000 else [""]:
        label = _OWN_LABEL.match(part)
        if label is None:
            return False
        if label["self"] is None and any(
            part[found.end() :][:1] == " " for found in FIRST_PERSON.finditer(part, label.end())
        ):
            return False
    return True
