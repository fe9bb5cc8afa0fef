"""Lines and blocks of a message that its writer did not type: beneath labels and headings, behind a speaker's name, a
request for work on a text or a separator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from rememberd.dialects.handing_words import (
    ASKS,
    FIRST_PERSON,
    HOLE,
    INTRODUCES,
    OF_SOMEBODY,
    OWNED,
    POINTS,
    SALUTATION,
    SUBJECT,
    hands_in,
    is_own_introduction,
    is_question,
    is_speech,
    speaks_of_self,
)
from rememberd.dialects.marks import Span

_SEPARATOR = re.compile(r"\s*([^\w\s\x00])\1{2,}\s*|\s*(?:[-*_] ){2,}[-*_]\s*")
_STRUCTURED = re.compile(
    r"\s*(?:[¹²³⁴⁵⁶⁷⁸⁹†‡①-⑳]|>(?!>>)|\||\{(?!\{)|\}(?!\})|\[\{|\"[^\"\n]{1,60}\"\s*:|\x00+\s*:|<[!?/])"
    r"|(?:    |\t)\S|\s*\[?\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?\]?\s+\S"
    r"|\s*\[?\d{1,4}[-/.:]\d{1,2}[-/.:]?\d{0,4}[\sT,]*(?:\d{1,2}:\d\d\S*)?\]?\s*[-–:\]]\s*\S"
)
_HEADING = re.compile(
    r"\s*(?:#{1,6}\s+(?P<hash>[^\n]{1,80}?)[\s#]*|([^\w\s\x00])\2+\s*(?P<rule>\w[^\n]{0,80}?)\s*\2{2,}"
    r"|[\[【](?P<box>[^\]】\n]{1,80})[\]】]"
    r"|(?P<file>[\w./\\~-]*\w\.[a-z]\w{0,4})(?: ?\([^()\n]{1,40}\))?"
    r"|[^\w\s\x00]{2,3}(?P<marks>\s*[/\w+-][^\n]{0,60}?)[^\w\s\x00]{2,3}"
    r"|(?:[$%❯]|>>>|\w+@\w\S*[$#]|In \[\d+\]:)\s+(?P<command>\S[^\n]{0,200}))\s*[:：]?\s*"
)
_BRACKETED = re.compile(
    r"\s*(?:[-*•]\s*)?(?:\*\*|__)?(?:[\[【](?P<box>[^\]】\n]{1,60})[\]】]|<(?P<angle>[^<>\n]{1,40})>|\((?P<round>[A-ZÀ-Þ0-9][^()\n]{0,40})\))(?:\*\*|__)?\s*[:：,–-]?\s*(?=\S)"
)
_COLON = re.compile(r"[:：](?=[\s*_]|$)|：|(?<=\D):(?=[\"“„«A-ZÀ-Þ])")
_DASHED = re.compile(
    r"\s*@?(?P<nick>[\w.]{1,20}) ?[>|»] +"
    r"|\s*(?P<who>[^\W\d_a-z][\w.'’]*(?: [^\W\d_a-z][\w.'’]*){0,3})(?:\s+[-–—|>→]+|[–—])\s+"
)
_ITEM = re.compile(r"\s*(?:[-*•+·]|\(?(?:\d{1,2}|[a-zA-Z])[.)])\s+")
_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*\s+|[。！？]|\s[-–—]{1,2}\s")
_BARE_LABEL = re.compile(r"[^\n:：]{1,40}[:：]\s*")
_SHORT_LABEL = re.compile(r"\W*\w+(?: \w+)?\W{0,3}[:：]\W*\w")
_LEAD_CHARS = 200


class _Line(NamedTuple):
    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class BlockReader:
    """Reads the lines of a message once, from the top. `handed` are the spans that are not the person's, `sure` as in
    `Segmentation`."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.sure = True
        self.handed: list[Span] = []
        self.typed_until: dict[int, int] = {}  # by the start of a line that is handed in: where that begins
        self.lines = list(_lines(text, start, end))
        self.full = [line for line in self.lines if line.text.strip(f" \t\r{HOLE}")]
        self.speaks = [speaks_of_self(line.text) for line in self.lines]
        self.scope: Literal["", "paragraph", "block"] = ""
        self.filled = False  # the block beneath the label has begun
        self.asked_above = False  # the line above is a question that is not about its writer

    def read(self) -> None:
        if self._is_generated():
            self.handed.append((self.lines[0].start, self.lines[-1].end))
            return
        separators = [i for i, line in enumerate(self.lines) if _SEPARATOR.fullmatch(line.text)]
        first, last = (separators[0], separators[-1]) if separators else (len(self.lines), -1)
        for index, line in enumerate(self.lines):
            if first <= index <= last or (index > first and first == last):
                self.handed.append((line.start, line.end))
                self.scope = ""
            elif not line.text.strip():
                self._blank()
            else:
                self._line(index, line)
        self._request_at_the_end()
        self._doubt()

    def _is_generated(self) -> bool:
        """A prompt that a program filled in ends with a label for the answer to stand behind."""
        if len(self.full) < 2:
            return False
        last = self.full[-1].text
        return bool(_BARE_LABEL.fullmatch(last)) and not is_own_introduction(last.rstrip(" :：\t\r"))

    def _blank(self) -> None:
        self.asked_above = self.asked_above and self.scope == ""
        if self.scope == "paragraph" and self.filled:
            self.scope = ""

    def _line(self, index: int, line: _Line) -> None:
        if _STRUCTURED.match(line.text):
            self._hand_in(line)
            return
        if self.scope and not self._resumes(index, line):
            self.filled = True
            self._hand_in(line)
            return
        self.scope = ""
        self._own(index, line)

    def _resumes(self, index: int, line: _Line) -> bool:
        """Does the person speak again here: a question at the very end, or words about themselves under a label."""
        if not self.filled:
            return False
        is_last = line is self.full[-1]
        if is_last and line.text.rstrip().endswith(ASKS):
            return True
        new_paragraph = not self.lines[index - 1].text.strip()
        lead = _COLON.search(line.text)
        if (
            lead
            and is_own_introduction(line.text[: lead.start()])
            and SUBJECT.search(line.text[: lead.start()].lower())
        ):
            return True
        return is_last and new_paragraph and not speaks_of_self(line.text)

    def _own(self, index: int, line: _Line) -> None:
        """A line where the person may be speaking: where does what is handed in begin?"""
        text = line.text
        item = _ITEM.match(text)
        body = item.end() if item else 0
        if item and self.asked_above:
            self._hand_in(line)
            return
        if (
            self._heading(index, line, text)
            or self._speaker(line, text, body)
            or self._label(index, line, text, body)
        ):
            self.asked_above = False
            return
        self._request(index, line, text)

    def _heading(self, index: int, line: _Line, text: str) -> bool:
        found = _HEADING.fullmatch(text)
        title = (
            next(filter(None, found.groupdict().values()), "")
            if found
            else text.strip()
            if self._is_title(index, text)
            else ""
        )
        if not title or (FIRST_PERSON if found else INTRODUCES).search(title.lower()):
            return False
        self._open(line, 0, "block")
        return True

    def _is_title(self, index: int, text: str) -> bool:
        """A short line without an end, over lines that speak of somebody: "Curriculum vitae"."""
        words = text.split()
        if index + 1 >= len(self.lines) or not 0 < len(words) <= 6 or not words[0][0].isupper():
            return False
        if text.rstrip()[-1] in ".!?,;:…。！？)" or FIRST_PERSON.search(text.lower()):
            return False
        return any(self.speaks[index + 1 : index + 4])

    def _speaker(self, line: _Line, text: str, body: int) -> bool:
        """ "[Tom Baker] I …", "Tom Baker - I …" """
        found = _BRACKETED.match(text) or _DASHED.match(text, body)
        if not found:
            return False
        who = next(filter(None, found.groupdict().values()))
        if is_own_introduction(who) or not is_speech(text[found.end() :]):
            return False
        self._open(line, 0, "paragraph")
        return True

    def _label(self, index: int, line: _Line, text: str, body: int) -> bool:
        """A colon: what stands behind it belongs to whoever stands before it, unless that is the writer."""
        sentence = body
        for colon in _COLON.finditer(text, body):
            for end in _SENTENCE_END.finditer(text, sentence, colon.start()):
                sentence = end.end()
            lead = text[max(sentence, colon.start() - _LEAD_CHARS) : colon.start()]
            rest = text[colon.end() :].strip(" \t\r*_")
            is_own = is_own_introduction(lead) and not (sentence == 0 and self._is_template(index, lead))
            if is_own or (rest and not is_speech(rest)) or _is_own_list(text[sentence:]):
                sentence = colon.end()
                continue
            is_name = sentence <= body and len(lead.split()) <= 4
            self._open(line, 0 if is_name else colon.end(), "paragraph" if rest else "block")
            return True
        return False

    def _is_template(self, index: int, lead: str) -> bool:
        """ "Context: I … \\nQuestion: who is it?": labels of one kind on several lines, and the later one asks for
        something that is not about its writer."""
        if FIRST_PERSON.search(lead.lower()):
            return False
        labelled = (
            at for at in range(index + 1, min(len(self.lines), index + 41)) if _SHORT_LABEL.match(self.lines[at].text)
        )
        return any(not self.speaks[at] and is_question(self.lines[at].text) for at in labelled)

    def _request(self, index: int, line: _Line, text: str) -> None:
        """A sentence that asks for work on a text, or names one: what follows is the text."""
        follows = any(self.speaks[index + 1 : index + 41])
        position, length, pointed = 0, len(text.rstrip()), False
        for sentence in _sentences(text):
            lower = sentence.lower()
            weight = hands_in(lower)
            position += len(sentence)
            behind = position < length
            if SALUTATION.fullmatch(lower.strip()) and follows:
                self._open(line, 0, "block")
                return
            is_lead = behind and sentence.rstrip()[-1:] in "-–—" and weight
            if is_lead or (weight == "text" and (behind or follows or SUBJECT.search(lower))):
                self._open(line, position - len(sentence), "paragraph" if behind else "block")
                return
            if pointed and FIRST_PERSON.search(lower):
                self.sure = pointed = False
            pointed = pointed or weight == "something"
        if pointed and follows:
            self._open(line, len(text), "block")
            return
        self.asked_above = text.rstrip().endswith(ASKS) and not FIRST_PERSON.search(text.lower())

    def _request_at_the_end(self) -> None:
        """ "I … \\n\\nTranslate this": all before it is the text."""
        last = self.full[-1] if self.full else None
        if last is None or last.start in self.typed_until:
            return
        final = [each for each in _sentences(last.text) if each.strip()][-1]
        lower = final.lower()
        weight, somebody = hands_in(lower), bool(OF_SOMEBODY.search(lower)) and final.rstrip().endswith(ASKS)
        before = [line for line in self.full[:-1] if line.start not in self.typed_until and speaks_of_self(line.text)]
        if weight == "text" and POINTS.search(lower):
            self.handed.append((self.lines[0].start, last.end - len(final)))
        elif before and (weight or somebody):
            self.sure = False
            if weight and all(_ITEM.match(line.text) for line in before):
                self.handed.append((self.lines[0].start, last.start))
            if somebody and not any(OWNED.search(line.text.lower()) for line in before):
                self.handed.append((self.lines[0].start, last.start))

    def _doubt(self) -> None:
        """Unsure: what seems typed, behind something that was handed in without a mark at its end."""
        first = min(self.typed_until, default=None)
        if first is None:
            return
        behind = (line for line in self.full if line.start > first and line.start not in self.typed_until)
        if any(speaks_of_self(line.text) for line in behind):
            self.sure = False

    def _open(self, line: _Line, at: int, scope: Literal["paragraph", "block"]) -> None:
        self.scope, self.filled = scope, bool(line.text[at:].strip()) and scope == "paragraph"
        self._hand_in(line, at)

    def _hand_in(self, line: _Line, at: int = 0) -> None:
        self.handed.append((line.start + at, line.end))
        self.typed_until[line.start] = line.start + at
        self.asked_above = False


def _lines(text: str, start: int, end: int) -> Iterator[_Line]:
    for line in text[start:end].splitlines(keepends=True):
        yield _Line(start, line.rstrip("\r\n"))
        start += len(line)


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    yield text[start:]


_OWN_LABEL = re.compile(rf"(?:{OWNED.pattern.pattern}) [\w-]+(?: [\w-]+)?:")


def _is_own_list(text: str) -> bool:
    """Is every sentence a label of the writer's with a value: "My diet: no soy. My city: Porto."?"""
    for part in re.split(r"[.;]\s+", text.strip().lower()) if len(text) <= 1_000 else [""]:
        label = _OWN_LABEL.match(part)
        if label is None or any(part[found.end() :][:1] == " " for found in FIRST_PERSON.finditer(part, label.end())):
            return False
    return True
