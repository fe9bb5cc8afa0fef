"""Finds the lines of a message that its sender did not type: those after a label, a heading, a speaker's name, a
separator or a request to work on a text."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from rememberd.dialects import attribution_words as words
from rememberd.dialects import marks
from rememberd.dialects.attribution_words import MASK
from rememberd.dialects.marks import Span

_LEAD_CHARS = 200
_ENDS = (".", "。", "!", "！")
_GREETING, _SPEECH = 4, 3  # the most words of a greeting; the fewest sentences or lines of a speech


class _Line(NamedTuple):
    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class BlockReader:
    """Reads the lines of a message once, from the top. `handed` are the spans that the person did not type; `sure`
    is as in `Segmentation`."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.sure = True
        self.handed: list[Span] = []
        self.typed_until: dict[int, int] = {}  # start of a line -> where its handed-in part begins
        self.lines = list(_lines(text, start, end))
        self.full = [line for line in self.lines if line.text.strip(f" \t\r{MASK}")]
        self.speaks = [words.speaks_of_self(line.text) for line in self.lines]
        self.scope: Literal["", "paragraph", "block"] = ""
        self.filled = False  # the block beneath the label has begun
        self.labelled = True  # every line of the block so far begins with a label or a mark
        self.spoken = False  # a line of the block has a first-person subject
        self.asked_above = False  # the line above asks for something that is not about the sender

    def read(self) -> None:
        if self._is_generated():
            self.handed.append((self.lines[0].start, self.lines[-1].end))
            return
        separators = [i for i, line in enumerate(self.lines) if marks.SEPARATOR.fullmatch(line.text)]
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
        """True for a prompt that a program filled in: it ends with a label, after which the answer follows."""
        if len(self.full) < 2 or MASK in self.lines[-1].text:
            return False
        last = self.full[-1].text
        return bool(marks.BARE_LABEL.fullmatch(last)) and not words.is_own_introduction(last.rstrip(" :：\t\r"))

    def _blank(self) -> None:
        self.asked_above = self.asked_above and self.scope == ""
        if self.scope == "paragraph" and self.filled:
            self.scope = ""

    def _line(self, index: int, line: _Line) -> None:
        if marks.STRUCTURED.match(line.text):
            if marks.SUBTITLE in line.text:
                self._open(line, 0, "paragraph")
            self._hand_in(line)
            return
        if self.scope and not self._resumes(index, line):
            self.filled = True
            self.labelled = self.labelled and marks.is_labelled(line.text)
            self.spoken = self.spoken or words.SUBJECT.search(line.text.lower()) is not None
            self._hand_in(line)
            return
        self.scope = ""
        self._own(index, line)

    def _resumes(self, index: int, line: _Line) -> bool:
        """True if the person's own words begin again here: a question at the very end, or words about themselves
        after a labelled block."""
        if not self.filled:
            return False
        is_last = line is self.full[-1]
        new_paragraph = not self.lines[index - 1].text.strip()
        is_one = new_paragraph or len(list(marks.sentences(line.text.strip()))) == 1
        if is_last and is_one and line.text.rstrip().endswith(words.ASKS):
            return True
        if new_paragraph and self.labelled and self.spoken and not marks.is_labelled(line.text):
            self.sure = False
            return True
        lead = marks.COLON.search(line.text)
        if (
            new_paragraph
            and lead
            and words.is_own_introduction(line.text[: lead.start()])
            and words.SUBJECT.search(line.text[: lead.start()].lower())
        ):
            return True
        return is_last and new_paragraph and not words.speaks_of_self(line.text)

    def _own(self, index: int, line: _Line) -> None:
        """Find where the handed-in part begins in a line that the person may have typed."""
        text = line.text
        item = marks.ITEM.match(text)
        body = item.end() if item else 0
        if item and self.asked_above:
            self._hand_in(line)
            self.asked_above = True
            return
        if (
            self._heading(index, line, text)
            or self._speaker(line, text, body)
            or self._label(index, line, text, body)
        ):
            self.asked_above = False
            return
        if not self._request(index, line, text) and self.full[:1] == [line]:
            self._request_above(index, line, text)

    def _heading(self, index: int, line: _Line, text: str) -> bool:
        found = marks.HEADING.fullmatch(text)
        title = text.strip() if not found and self._is_title(index, text) else ""
        if found:
            title = next(filter(None, found.groupdict().values()), "")
        if not title or (words.FIRST_PERSON if found else words.INTRODUCES).search(title.lower()):
            return False
        self._open(line, 0, "block")
        return True

    def _is_title(self, index: int, text: str) -> bool:
        """True for a short line without a full stop above lines in the first person: "Curriculum vitae"."""
        title = text.split()
        if index + 1 >= len(self.lines) or not 0 < len(title) <= 6 or not title[0][0].isupper():
            return False
        if text.rstrip()[-1] in ".!?,;:…。！？)" or words.FIRST_PERSON.search(text.lower()):
            return False
        return any(self.speaks[index + 1 : index + 4])

    def _speaker(self, line: _Line, text: str, body: int) -> bool:
        """ "[Tom Baker] I …", "Tom Baker - I …" """
        found = marks.BRACKETED.match(text) or marks.DASHED.match(text, body)
        if not found:
            return False
        who = next(filter(None, found.groupdict().values()))
        if words.is_own_introduction(who) or not words.is_speech(text[found.end() :]):
            return False
        self._open(line, 0, "paragraph")
        return True

    def _label(self, index: int, line: _Line, text: str, body: int) -> bool:
        """The text after a colon belongs to the speaker or title before the colon, unless that is the sender."""
        sentence = body
        for colon in marks.COLON.finditer(text, body):
            for end in marks.SENTENCE_END.finditer(text, sentence, colon.start()):
                sentence = end.end()
            lead = text[max(sentence, colon.start() - _LEAD_CHARS) : colon.start()]
            rest = text[colon.end() :].strip(" \t\r*_")
            is_own = words.is_own_introduction(lead) and not (sentence == 0 and self._is_template(index, lead))
            is_list = marks.is_own_list(text[sentence:]) and bool(rest or not any(self.speaks[index + 1 : index + 3]))
            is_marked = self._is_marked(index, colon.end())
            # "HEADLINE: A year at sea", below what the person typed and above lines in the first person
            titled = lead.strip().isupper() and line is not self.full[0] and any(self.speaks[index + 1 : index + 4])
            if is_own or is_list or is_marked or (rest and not titled and not words.is_speech(rest)):
                sentence = colon.end()
                continue
            is_name = sentence <= body and len(lead.split()) <= 4
            self._open(line, 0 if is_name else colon.end(), "paragraph" if rest and not titled else "block")
            return True
        return False

    def _is_template(self, index: int, lead: str) -> bool:
        """ "Context: I … \\nQuestion: who is it?": labels on several lines, and a later one asks for something that
        is not about the sender."""
        if words.FIRST_PERSON.search(lead.lower()):
            return False
        beneath = range(index + 1, min(len(self.lines), index + 41))
        labelled = (at for at in beneath if marks.SHORT_LABEL.match(self.lines[at].text))
        return any(not self.speaks[at] and words.is_question(self.lines[at].text) for at in labelled)

    def _is_marked(self, index: int, at: int, length: int = 0) -> bool:
        """True if the text that belongs to a request or a label is quoted or fenced, after the position `at` of this
        line or around it: then the person's own words continue after the marks. `length` is the request's."""
        text, begin = self.lines[index].text, at - length
        behind = text[at : at + _LEAD_CHARS].strip()
        if marks.QUOTED.search(text, begin, at) or behind.startswith(marks.MARK_BEGINS):
            return True
        below = next((line.text.lstrip() for line in self.lines[index + 1 : index + 4] if line.text.strip()), "")
        if not behind and below.startswith(marks.MARK_BEGINS):
            return True
        above = next((line.text for line in self.lines[max(index - 2, 0) : index][::-1] if line.text.strip()), "")
        before = text[max(begin - _LEAD_CHARS, 0) : begin] if length else ""
        return bool(length) and (before.strip() or above).rstrip().endswith(MASK)

    def _request_above(self, index: int, line: _Line, text: str) -> None:
        """A first paragraph of one line that is neither about the sender nor a greeting, above several sentences in
        the first person: it is a request to work on those sentences. With fewer sentences this is unsure."""
        lower = text.strip().lower()
        beneath = self.lines[index + 1 :]
        if (
            len(lower) > _LEAD_CHARS
            or not beneath
            or beneath[0].text.strip()
            or not any(letter.isalpha() for letter in lower)
        ):
            return
        if not any(self.speaks[index + 1 :]) and not marks.NO_PRONOUNS.search(text):
            return
        if len(lower.split()) <= _GREETING and words.INTRODUCES.match(lower):
            return
        if words.FIRST_PERSON.search(lower):
            self.sure = self.sure and bool(words.FIRST_PERSON.search([*marks.sentences(lower)][-1]))
            return
        self.sure = False
        beneath = [each for each in beneath if each.text.strip(f" {MASK}")]
        ends = sum(1 for each in beneath[:_SPEECH] for _ in marks.SENTENCE_END.finditer(f"{each.text} "))
        if max(ends, len(beneath)) >= _SPEECH:
            self._open(line, len(text), "block")

    def _request(self, index: int, line: _Line, text: str) -> bool:
        """A sentence that asks for work on a text or names a text: what follows is that text."""
        follows = any(self.speaks[index + 1 : index + 41])
        position, length, pointed = 0, len(text.rstrip()), False
        for sentence in marks.sentences(text):
            lower = sentence.lower()
            position += len(sentence)
            behind = position < length
            weight = "" if self._is_marked(index, position, len(sentence)) else words.hands_in(lower)
            if follows and words.begins_letter(lower.strip(), is_first=self.full[:1] == [line]):
                self._open(line, 0, "block")
                return True
            is_lead = behind and sentence.rstrip()[-1:] in "-–—" and weight
            if is_lead or (weight == "text" and (behind or follows or words.SUBJECT.search(lower))):
                self._open(line, position - len(sentence), "paragraph" if behind else "block")
                return True
            if pointed and words.FIRST_PERSON.search(lower):
                self.sure = pointed = False
            pointed = pointed or weight == "something"
        if pointed and follows:
            self._open(line, len(text), "block")
            return True
        asks = text.rstrip().endswith((*words.ASKS, *_ENDS)) and len(text.split()) >= _GREETING
        self.asked_above = asks and not words.FIRST_PERSON.search(text.lower())
        return False

    def _request_at_the_end(self) -> None:
        """ "I … \\n\\nTranslate this": everything before the request is the text."""
        if not self.full or (last := self.full[-1]).start in self.typed_until or MASK in self.lines[-1].text:
            return
        final = [each for each in marks.sentences(last.text) if each.strip()][-1]
        lower = final.lower()
        weight, somebody = (
            words.hands_in(lower),
            bool(words.OF_SOMEBODY.search(lower)) and final.rstrip().endswith(words.ASKS),
        )
        before = [
            line for line in self.full[:-1] if line.start not in self.typed_until and words.speaks_of_self(line.text)
        ]
        if weight == "text" and words.POINTS.search(lower):
            self.handed.append((self.lines[0].start, last.end - len(final)))
        elif before and (weight or somebody):
            self.sure = False
            if weight and all(marks.ITEM.match(line.text) for line in before):
                self.handed.append((self.lines[0].start, last.start))
            if somebody and not any(words.OWNED.search(line.text.lower()) for line in before):
                self.handed.append((self.lines[0].start, last.start))

    def _doubt(self) -> None:
        """Words that seem typed are unsure if they follow a handed-in text that has no end mark."""
        first = min(self.typed_until, default=None)
        if first is None:
            return
        behind = (line for line in self.full if line.start > first and line.start not in self.typed_until)
        if any(words.speaks_of_self(line.text) for line in behind):
            self.sure = False

    def _open(self, line: _Line, at: int, scope: Literal["paragraph", "block"]) -> None:
        self.scope, self.filled = scope, bool(line.text[at:].strip()) and scope == "paragraph"
        self.labelled, self.spoken = True, False
        self._hand_in(line, at)

    def _hand_in(self, line: _Line, at: int = 0) -> None:
        self.handed.append((line.start + at, line.end))
        self.typed_until[line.start] = line.start + at
        self.asked_above = False


def _lines(text: str, start: int, end: int) -> Iterator[_Line]:
    for line in text[start:end].splitlines(keepends=True):
        yield _Line(start, line.rstrip("\r\n"))
        start += len(line)
