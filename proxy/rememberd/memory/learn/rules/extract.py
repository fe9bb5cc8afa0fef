"""Finds facts without a model call: statements of a person about themselves.

A classifier judges which sentences state something (`judge`); the tables tell the attribute of a clause, which
decides which fact replaces which. Precision comes before recall: the exchange still has a missed fact. A fact is a
whole clause or sentence of the person, verbatim. In doubt no fact is made."""

import re
from functools import partial
from itertools import chain
from typing import NamedTuple

from rememberd.dialects.attribution_words import ASKS, MASK
from rememberd.dialects.segments import segment
from rememberd.memory.ids import normal
from rememberd.memory.learn.rules.clauses import clauses, told_end, without_lead
from rememberd.memory.learn.rules.judge import SURE, enough, judge, judge_beginning, judging
from rememberd.memory.learn.rules.natural_ends import dated, ends_at
from rememberd.memory.learn.rules.non_statements import is_play, makes_play
from rememberd.memory.learn.rules.sentences import LONGEST_SENTENCE, sentences
from rememberd.memory.learn.rules.slots import OF_KIND, is_single
from rememberd.memory.learn.rules.statement import Statement, statement
from rememberd.memory.learn.rules.table import begins, mentions, tables_for
from rememberd.memory.learn.rules.told_value import AND, corrects, states_value, taken_back, told_value
from rememberd.memory.learn.rules.values import SURELY_TELLS, changes, may_tell, tells, words_that_tell
from rememberd.memory.text_similarity import with_value_of
from rememberd.types import Fact, Millis, Turn

MOST = 100  # facts of one message
_LONG = 1_200  # characters; a longer paragraph is a document unless this share of its sentences speaks of its writer
_OWN_SHARE = 0.4
# How sure the classifier must be that a sentence is a statement, where it need not be `enough()`: if a table knows it
# as one of an attribute with a single value, or of any; or if the other classifier finds a value or an end in it.
# Chosen on tests/data/blind to blind4; .2 instead of .1 gains nothing there.
_SINGLE, _KNOWN, _TOLD, _LIKELY = 0.05, 0.1, 0.2, 0.3
_SURE_ALL_THE_SAME = 0.9
_ELLIPSIS = 2  # words: "I'm not" means nothing by itself, and "I'm not vegetarian" only beside the clause before
_SHORTEST_END = 12  # bytes: "I'm done." names nothing that could be over
# Slots that uncertain sentences must not change, because they may be another person's words.
_IDENTITY = frozenset(("name", "home", "employer"))


class Rules:
    """The `Extractor` that needs no model call."""

    async def facts(self, turn: Turn) -> list[Fact]:
        return await judging(partial(extract, turn.user_text, turn.created_at))


class _Found(NamedTuple):
    text: str
    stated: Statement | None  # None: no table knows it
    slot: str | None = None  # of what no table knows
    evidence: str | None = None  # the words that put it right; None: it is said as it is


def extract(text: str, at: Millis) -> list[Fact]:
    """The user's statements about themselves in `text`, said at `at`. Each `evidence` is a span of `text`."""
    words = segment(text)
    found = [each for paragraph in _paragraphs(words.masked()) for each in _of_paragraph(paragraph)]
    facts: dict[str, Fact] = {}
    for each in found:
        fact = _fact(each, at)
        if words.sure or fact.slot not in _IDENTITY:
            facts.setdefault(normal(fact.text), fact)
    return list(facts.values())[:MOST]


def slot_of(statement_text: str) -> str | None:
    """The slot of a sentence that was added directly, such as a memory added by hand."""
    facts = extract(statement_text, 0)
    return facts[0].slot if len(facts) == 1 else None


def _paragraphs(typed: str) -> list[str]:
    """A message of usual length is one paragraph: if it begins with a role or a game, all of it is one."""
    return [typed] if len(typed) <= _LONG else re.split(r"\n\s*\n", typed)


def _of_paragraph(typed: str) -> list[_Found]:
    spans = list(sentences(typed))
    texts = [typed[span.start : span.end] for span in spans if span.end - span.start <= LONGEST_SENTENCE]
    if len(typed) > _LONG and sum(map(bool, map(_FIRST_PERSON.search, texts))) < _OWN_SHARE * len(spans):
        return []  # a document
    if is_play(typed) or any(map(makes_play, map(_unlabelled, texts))):
        return []
    found: list[_Found] = []
    for sentence in chain.from_iterable(map(_without_aside, texts)):
        if corrects(sentence):
            found += _put_right([found.pop()] if found else [], sentence)
        if not _may_be_untrue(sentence):
            found += _of_sentence(sentence)
    return found


def _without_aside(sentence: str) -> list[str]:
    """A request and what it says in brackets, by themselves: "Plan a party (my son is nine now, not eight)"."""
    found = _ASIDE.search(sentence) if MASK not in sentence else None
    if found is None or judge(sentence[: found.start()]).sure >= _LIKELY or not _states_surely(found[1]):
        return [sentence]
    parts = (sentence[: found.start()].rstrip(), found[1], sentence[found.end() :])
    return list(filter(_WORD.search, parts))


def _states_surely(aside: str) -> bool:
    stated = statement(without_lead(aside))
    return judge(aside).sure >= (_SINGLE if stated and is_single(stated.slot) else _SURE_ALL_THE_SAME)


def _may_be_untrue(sentence: str) -> bool:
    """True for verse and suppositions; and for a sentence with a word of hearsay, unless it is clearly a statement
    ("My partner goes by Wren")."""
    if mentions("suppose", sentence) or _VERSE.search(sentence):
        return True
    return mentions("hearsay", sentence) and judge(sentence).sure < _SURE_ALL_THE_SAME


def _unlabelled(sentence: str) -> str:
    """Without its label ("Correction: …"), which the classifier takes for the start of a document or a game."""
    return without_lead(sentence) if _LABEL.match(sentence) else sentence


def _of_sentence(sentence: str) -> list[_Found]:
    if begins("irony", sentence) and not _may_state(sentence, SURE):  # "Yeah right, I'm the Pope and I live in Rome."
        return []
    known = [each for each in _of_clauses(sentence) if _is_known(each, sentence)]
    back = taken_back(sentence)
    if back is None:
        return known or _judged(sentence)
    before = [each for each in known if sentence.find(each.text) + len(each.text) <= back]
    after = [each for each in known if sentence.find(each.text) >= back]
    said, tail = before[-1:] or _of_clauses(sentence[:back]), sentence[back:]
    return [*before[:-1], *(_put_right(said, tail) or after)]


def _put_right(said: list[_Found], tail: str) -> list[_Found]:
    """ "I live in Bergen" of "I live in Oslo, no, in Bergen": the last of `said` with the value of `tail`, if that is
    clear."""
    if not said or said[-1].stated is None:
        return []
    text = with_value_of(tail, said[-1].text, words_that_tell("corrects", tail))
    stated = statement(text) if text else None
    if text is None or stated is None or stated.slot != said[-1].stated.slot:
        return []
    return [_Found(text, stated, evidence=tail)]


def _may_state(sentence: str, least: float) -> bool:
    """True if the sentence or its beginning is a statement with at least the probability `least`. It takes
    milliseconds, so call it only if nothing else decides."""
    return judge_beginning(_unlabelled(sentence), least).sure >= least


def _is_known(found: _Found, sentence: str) -> bool:
    """True for wishes, ends and email addresses; for others, if the sentence or the clause may be a statement."""
    if found.stated is None or found.stated.ends or found.stated.slot == "contact":
        return True
    least = _SINGLE if is_single(found.stated.slot) else _KNOWN
    return _may_state(sentence, least) or judge_beginning(found.text, least).sure >= least


def _judged(sentence: str, *, surely: bool = False) -> list[_Found]:
    """The whole sentence, if it is a statement; of a question, the statement before it. `surely`: it is known to be
    one."""
    if sentence.endswith(ASKS):
        told = sentence[: told_end(sentence)].rstrip(" ,;:–—，،")
        return _judged(told, surely=True) if told and judge(told).sure >= _SURE_ALL_THE_SAME else []
    introduces = sentence.rstrip().endswith((":", "："))
    if introduces or MASK in sentence or not _WORD.search(sentence) or mentions("hedge", sentence):
        return []
    value = told_value(sentence) if tells(sentence) else None
    surely = surely or (value is not None and states_value(sentence, value))
    if not (surely or (judge(sentence).sure >= _SINGLE and _may_state(sentence, _TOLD)) or _is_change(sentence)):
        return []
    value = value or told_value(sentence)
    if corrects(sentence) or not (surely or _is_sure(sentence, value) or _is_change(sentence)):
        return []
    return [_Found(sentence, None, value or OF_KIND.get(judge(sentence).kind))]  # "For me, …" is no instruction


def _is_sure(sentence: str, value: str | None) -> bool:
    """A beginning alone must be surer than a whole sentence: "I'm an astronaut, obviously, that's why I …"."""
    least = _LIKELY if value else SURE if _PIECE.search(sentence) else enough()
    if value and may_tell(value, sentence, SURELY_TELLS):
        least = _TOLD
    whole = judge(sentence).sure
    return whole >= _SINGLE and _may_state(sentence, least if whole >= least else _SURE_ALL_THE_SAME)


def _is_change(sentence: str) -> bool:
    """Whether it may only say that something is over or true again. It is stored only if that thing is known."""
    return changes(sentence) and len(sentence.encode()) >= _SHORTEST_END


def _of_clauses(sentence: str) -> list[_Found]:
    """The clauses that a table knows."""
    whole = statement(sentence)
    if whole is not None and whole.slot == "instruction":  # a request, but one that lasts
        return [_Found(sentence, whole)]
    found: list[_Found] = []
    begun = end = 0
    for span in clauses(sentence):
        clause = sentence[span.start : span.end]
        if found and (corrects(clause) or corrects(sentence[end : span.end].lstrip(" ,;:–—-"))):
            _correct(found, clause)
            end = span.end
            continue
        end = span.end
        told = _remembered(clause)
        if told is not None:
            found.append(_Found(told, statement(told)))
        elif (stated := statement(clause)) and _is_kept(stated, clause, sentence):
            found.append(_Found(clause, stated))
            begun = span.start
        elif stated is None and found and found[-1].stated and _may_go_on(found[-1].stated, clause):
            found[-1] = found[-1]._replace(text=sentence[begun : span.end])  # "my kids love fish, but I hate it"
    return found


def _may_go_on(stated: Statement, clause: str) -> bool:
    """Whether what no table knows belongs to the statement before it. Beside a single value it would be hidden when
    that is replaced."""
    goes_on = len(clause.split()) > _ELLIPSIS and "?" not in clause and not mentions("hedge", clause)
    return bool(stated.ends) or (goes_on and not is_single(stated.slot))


def _correct(found: list[_Found], clause: str) -> None:
    """Take back the last fact. "I meant Bergen" replaces it; shorter ones are only in the exchange."""
    stated = found.pop().stated
    new = statement(clause)
    if new is not None:
        found.append(_Found(clause, new))
    elif stated is not None and is_single(stated.slot) and _MEANT.match(clause):
        found.append(_Found(clause, stated._replace(past=False, changed=True)))


def _is_kept(stated: Statement, clause: str, sentence: str) -> bool:
    if mentions("hedge", clause) or MASK in clause or "?" in clause:
        return False
    if stated.slot in ("instruction", "contact") or stated.ends:
        return True
    if is_single(stated.slot):
        return not stated.passing
    return not (stated.passing or mentions("you", clause) or mentions("technical", sentence))


def _fact(found: _Found, at: Millis) -> Fact:
    stated = found.stated
    if stated is None:
        end = ends_at(found.slot or "", found.text, at)
        since = dated(found.text, at) if is_single(found.slot) else None
        return Fact(text=found.text, evidence=found.text, slot=found.slot, valid_from=since or at, expires_at=end)
    since = dated(found.text, at) if is_single(stated.slot) else None
    evidence = found.evidence or found.text
    slot = None if is_single(stated.slot) and not stated.ends and not _is_present(found.text, stated) else stated.slot
    return Fact(found.text, evidence, slot, since or at, expires_at=ends_at(stated.slot, found.text, at))


def _is_present(text: str, stated: Statement) -> bool:
    """Whether it tells the present value and nothing else. "I live in Oslo and paint" tells more, which would be
    hidden with the old value."""
    if stated.past and not stated.changed:
        return False
    subject = text.split()[0]
    others = (statement(f"{subject} {text[found.end() :]}") for found in AND.finditer(text))
    return all(other is None or other.slot == stated.slot for other in others)


def _remembered(clause: str) -> str | None:
    """The statement that the person asks to remember; it must be about them."""
    for table in tables_for(clause):
        asked = table.at_start("remember", clause)
        if asked:
            what = clause[asked.end() :].strip(" ,:")
            return what if _FIRST_PERSON.search(what) and len(what) > 2 else None
    return None


_WORD = re.compile(r"[^\W\d_]")
_ASIDE = re.compile(r"\(([^()]{8,200})\)")
_VERSE = re.compile(r"(?:\w+\W+){3}/ (?:\w+\W+){2}\w")  # "I'm a lineman for the county / and I drive the main road"
_PIECE = re.compile(r"^\s*[-–—•*]|,\s*$")  # of a list or of verse, which may be somebody else's
_LABEL = re.compile(r"[\w ]{2,20}:\s")
_MEANT = re.compile(r"i meant? (?=[A-Z0-9])", re.IGNORECASE)
_FIRST_PERSON = re.compile(
    r"\b(?:i|i['’]\w+|my|mine|we|our|ich|mein\w*|wir|je|mon|ma|yo|mi|jeg|jag|min|mitt|ik|mijn|io|mio|mia|eu|meu|minha)\b"
    r"|j['’]|[我私яЯ]",
    re.IGNORECASE,
)
