"""Whether two short statements say the same: by their words in order, their symbols, and whether they deny. A vector
alone cannot decide: "I moved from London to Paris" and "… from Paris to London" have the cosine .99. Pure."""

import re
import unicodedata

from rememberd.memory.ids import normal
from rememberd.memory.recall.dates import without_times
from rememberd.memory.recall.lexicon import WORD, stop_words

# Characters. A longer text is a document, the same only if it is equal: comparing the words of 16 neighbours of
# 20,000 characters each took half a second.
LONGEST = 2_000

_EDGES = ".,;:!?…。、，！？\"'“”„‘’«»()[]"
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|without|cannot|hate|dislike|loathe|stopped|quit|left|former|formerly|used to"
    r"|\w+n['’]t|kein\w*|nicht|nie|mehr|ne|pas|jamais|plus|nunca|ya no|ikke|aldri|inte|aldrig|niet|geen|non|não)\b",
    re.IGNORECASE,
)
# Only in lower case and never the first word's namesake: An, My and Do are names too.
_FILLERS = frozenset(
    [
        "a",
        "an",
        "the",
        "i",
        "i'm",
        "im",
        "i've",
        "am",
        "is",
        "are",
        "be",
        "been",
        "being",
        "my",
        "me",
        "we",
        "our",
        "it",
        "its",
        "that",
        "and",
        "or",
        "but",
        "also",
        "so",
        "then",
        "too",
        "very",
        "really",
        "quite",
        "actually",
        "just",
        "now",
        "still",
        "currently",
        "always",
        "absolutely",
        "totally",
        "basically",
        "of",
        "in",
        "on",
        "at",
        "by",
        "as",
        "into",
        "about",
        "have",
        "has",
        "got",
        "do",
        "does",
        "did",
    ]
)
_NEGATIVES = frozenset(
    [
        "not",
        "never",
        "don't",
        "dont",
        "doesn't",
        "can't",
        "cannot",
        "won't",
        "isn't",
        "any",
        "anymore",
        "more",
        "longer",
    ]
)
_SYNONYMS = {
    "named": "name", "called": "name",
    "love": "like", "adore": "like", "enjoy": "like", "hate": "like", "dislike": "like", "loathe": "like",
}  # fmt: skip


def says_the_same(old: str, new: str) -> bool:
    return normal(old) == normal(new) or (_share_content(old, new) and negated(old) == negated(new))


def opposes(old: str, new: str) -> bool:
    """Whether one says yes and the other no to the same thing."""
    return _share_content(old, new) and negated(old) != negated(new)


def _share_content(old: str, new: str) -> bool:
    if max(len(old), len(new)) > LONGEST:
        return False
    words = content(old)
    return words == content(new) and words != []


def negated(text: str) -> bool:
    return _NEGATION.search(text) is not None


def content(text: str) -> list[str]:
    """The words that carry meaning, in order, NFC, case-folded and with their symbols ("c#", "b+", "1,5")."""
    words = []
    for number, token in enumerate(unicodedata.normalize("NFC", text).replace("’", "'").split()):
        word = token.strip(_EDGES) or token
        folded = word.casefold()
        is_name = number > 1 and word[:1].isupper() and word != "I"
        if is_name or (folded not in _FILLERS and folded not in _NEGATIVES):
            words.append(_SYNONYMS.get(folded, folded))
    return words


def share_of(end: str, stated: str) -> float:
    """The share of `stated` that is in `end`, which says that it is over or holds again: 0 to 1.

    0 if they are about different things: only the first word is shared, mostly the verb; each names something that
    the other does not; or it is another person's, "my mother's". If "and" joins several things, nearly all must be
    shared."""
    if max(len(end), len(stated)) > LONGEST:
        return 0.0
    over, words = _stems(end), _stems(stated)
    shared = [word in over for word in words]
    if not any(shared) or names_differ(end.partition(",")[0], stated) or _is_anothers(end, stated):
        return 0.0
    if (WHOSE.match(stated) and not shared[0]) or (len(words) > 1 and not any(shared[1:])):
        return 0.0
    share = sum(shared) / len(words)
    return share if share >= NEARLY_ALL or not _JOINED.search(stated) else 0.0


NEARLY_ALL = 0.8
_JOINED = re.compile(r"\b(?:and|und|et|y|e|og|och|и)\b|[和跟と]", re.IGNORECASE)
WHOSE = re.compile(
    r"(?:il |la |o |a )?(?:my|our|mein\w*|unser\w*|mon|ma|mes|notre|nos|mis?|mi[oa]|meu|minha|mijn|onze?|min|mitt"
    r"|mina|мо[йяи]|mój|moja)\b"
    r"|[我私](?=[\u4e00-\u9fff]{1,2}(?:住|在|不|的|は|が))",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[^\W\d_\u2e80-\ud7ff]{3,}|[\u2e80-\ud7ff](?=([\u2e80-\ud7ff]))")


def _stems(text: str) -> list[str]:
    """The first four letters of each word of three or more that is not a filler, in order; pairs in unspaced
    scripts."""
    words = _WORDS.finditer(WHOSE.sub(" ", text, count=1))
    stems = [(found[0] + (found[1] or "")).casefold()[:4] for found in words]
    return list(dict.fromkeys(stem for stem in stems if stem not in _FILLERS and stem not in _NEGATIVES))


def names_only(end: str, stated: str, beside: frozenset[str]) -> bool:
    """Whether `end` names something of `stated`, and nothing else but a time. `beside` are words of it that name
    nothing, such as "quit". A verb alone is too little ("I sing"); another person must be named ("my brother")."""
    if max(len(end), len(stated)) > LONGEST or names_differ(end, stated) or _is_anothers(end, stated):
        return False
    words = _telling_stems(stated, stated)
    nothing = frozenset(_telling_stems(" ".join(beside), end)) - frozenset(words)
    named = frozenset(_telling_stems(without_times(end), end)) - nothing
    begins = [word.casefold()[:4] for word in WORD.findall(stated)[:2]]
    verb = words[:1] if len(words) > 1 and words[0] in begins else []
    owned = WHOSE.match(stated) and words[:1] and words[0] not in named and not _begins_with_its_name(end, stated)
    return not owned and bool(named - frozenset(verb)) and named <= frozenset(words)


def _begins_with_its_name(end: str, stated: str) -> bool:
    """ "Rex died", of "My dog is called Rex"."""
    called = _CALLED.search(stated)
    return called is not None and called["name"] in WORD.findall(end)[:2]


_CALLED = re.compile(
    r"\b(?:called|named|name is|hei(?:ß|ss)t|s['’]appelle|se llama|si chiama|se chama|heet|heter|hedder|зовут)"
    r" (?P<name>(?-i:[A-ZÀ-ÖØ-ÞĀ-ŽА-Я])[\w'’-]*)",
    re.IGNORECASE,
)


def _is_anothers(end: str, stated: str) -> bool:
    """Whether it begins with a person or thing that is not in `stated`: "My mother no longer …"."""
    return WHOSE.match(end) is not None and _stems(end)[:1] != [] and _stems(end)[0] not in _stems(stated)


def _telling_stems(text: str, whole: str) -> list[str]:
    """`_stems` of the words that say something in the language of `whole`."""
    stops = _stops(whole)
    return _stems(" ".join(word for word in WORD.findall(text) if word.casefold() not in stops))


def telling(text: str, whole: str) -> frozenset[str]:
    """The words that say something in the language of `whole`, case-folded."""
    said = {word.casefold() for word in WORD.findall(text)}
    return frozenset(word for word in said - _stops(whole) if len(word) > 1 or word.isdigit())


def _stops(text: str) -> frozenset[str]:
    """The stop words of the language that most words of the text belong to."""
    said = [word.casefold() for word in WORD.findall(text)]
    return max(stop_words().values(), key=lambda each: sum(word in each for word in said))


def names_differ(one: str, other: str) -> bool:
    """Whether each names something that the other does not: "at Acme in York", "at Globex in York". A name may be the
    beginning of the other, and a day is not a name."""
    one = without_times(one)
    ours, theirs = ({found[0].casefold() for found in _NAMES.finditer(text)} for text in (one, other))
    words, others = ({word.casefold() for word in WORD.findall(text)} for text in (one, other))
    return bool(ours - theirs - others and theirs - ours - words)


_NAMES = re.compile(r"(?<=[\w,;:] )[A-ZÀ-ÖØ-ÞĀ-ŽА-Я][\w'’-]{2,}")


_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*(?:(?:st|nd|rd|th)\b)?")
_CAPITALISED = r"(?!I\b)[A-ZÀ-ÖØ-ÞĀ-ŽА-ЯЁ][\w'’&-]*"
NAME = re.compile(rf"(?:(?<=[\w,;:] )|(?<=^\*)){_CAPITALISED}(?: {_CAPITALISED})*")  # it begins no sentence
KINDS = (_NUMBER, NAME)


def with_value_of(correction: str, stated: str, beside: frozenset[str]) -> str | None:
    """`stated` with the value of the correction; None if that is not clear. A number replaces a number and a name a
    name, if there is one of each; any other word replaces one that the correction repeats ("not cashews,
    pistachios"), or that is beside the same word ("eight years"). `beside` are words that announce a correction."""
    said = correction if " " in correction.strip() else f", {correction}"
    for kind in KINDS:
        old = list(kind.finditer(stated))
        known = stated if kind is NAME else [each[0] for each in old]  # "3" is not in "13"
        new = [each[0] for each in kind.finditer(said) if each[0] not in known]
        if new:
            return _put(stated, old[-1].span(), new[0]) if len(new) == 1 and _is_one(old, stated) else None
    return _with_word_of(correction, stated, beside) or _with_neighbour_of(correction, stated)


def _is_one(values: list[re.Match[str]], stated: str) -> bool:
    """Whether there is one value, besides the name of the relative who has it: "my brother Tom lives in Leeds"."""
    second = len(values) == 2 and WHOSE.match(stated) and values[0].start() == len(" ".join(stated.split()[:2])) + 1
    return len(values) == 1 or bool(second)


def _with_word_of(correction: str, stated: str, beside: frozenset[str]) -> str | None:
    said = {word.casefold() for word in WORD.findall(stated)}
    words = [word.casefold() for word in WORD.findall(correction)]
    stops = _stops(correction)
    announcing = {word.casefold() for each in beside for word in WORD.findall(each)}
    named = [word for word in dict.fromkeys(words) if word not in stops and len(word) > 3]
    old, new = [word for word in named if word in said], [word for word in named if word not in said | announcing]
    if len(old) != 1 or len(new) != 1:
        return None
    found = re.search(rf"\b{re.escape(old[0])}\b", stated, re.IGNORECASE)
    return _put(stated, found.span(), new[0]) if found else None


def _with_neighbour_of(correction: str, stated: str) -> str | None:
    """ "Sorry, eight years" for "she is seven years old": a clause with one new word, and all others are in `stated`
    in the same order."""
    places = list(WORD.finditer(stated))
    known = [place[0].casefold() for place in places]
    found = set[tuple[tuple[int, int], str]]()
    for clause in _CLAUSES.split(correction):
        words = WORD.findall(clause)
        for at in range(len(known) - len(words) + 1) if 1 < len(words) <= _MOST_ALIKE else ():
            other = [number for number, word in enumerate(words) if word.casefold() != known[at + number]]
            if len(other) == 1 and words[other[0]].casefold() not in known:
                found.add((places[at + other[0]].span(), words[other[0]]))
    return _put(stated, *found.pop()) if len(found) == 1 else None


_CLAUSES = re.compile(r"[,;:.!?–—]+\s*")
_MOST_ALIKE = 4  # words of such a clause


def _put(stated: str, span: tuple[int, int], value: str) -> str:
    return f"{stated[: span[0]]}{value}{stated[span[1] :]}"
