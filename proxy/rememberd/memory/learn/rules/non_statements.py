"""Typed words that are not statements about the person: a role, a game, a story, a joke.

Tables of words, by the reason. They are matched against lower case: ignoring the case of so many alternatives takes
three times as long."""

# ruff: noqa: E501  a table's alternatives stay together

import re

from rememberd.memory.learn.rules.judge import PART_ENDS, Judgement, judge, may_be_play
from rememberd.memory.learn.rules.values import tells

_SHORTEST_TAIL = 12  # characters; what is shorter goes with the words before it
_LIKELY = 0.3  # chosen on the labelled turns
_SURELY_A_STATEMENT = 0.9  # a sentence that is so surely a statement is not read by its last part


def is_play(text: str) -> bool:
    """Whether all of the message is a role, a game, a story or a joke."""
    return bool(_NOT_THEIR_OWN.search(text.lower()) or _CAST.search(text))


def makes_play(sentence: str) -> bool:
    """Whether it makes the text around it fiction, as a whole or by its last part: "…, who sang that?"."""
    if may_be_play(sentence) and _is_play(judge(sentence)):
        return True
    *_, last = [0, *(found.end() for found in PART_ENDS.finditer(sentence))]
    tail = sentence[last:]
    if len(tail) < _SHORTEST_TAIL or not may_be_play(tail) or judge(sentence).sure >= _SURELY_A_STATEMENT:
        return False
    return _is_play(judge(tail)) and not tells(sentence)


def _is_play(judged: Judgement) -> bool:
    return _LIKELY <= judged.play > judged.sure


_FICTION = (
    r"stor(?:y|ies)|poem|song|lyrics|scene|dialog(?:ue)?|script|screenplay|novel|monologue|limerick|haiku|rap|fanfic"
)
_WRITE = r"(?:write|compose|create|tell|make\s+up|invent|draft|generate|continue)"
_PLAY = (
    r"pretend|thought experiment|let me test|(?:[abc][12]|grammar|listening|language) exercise|sample (?:dialog(?:ue)?|conversation)|memory test|role-?\s?play\w*|in character|(?<!t )(?<!to )imagine|act(?:ing)? (?:as|like)|(?:my|the main) character|protagonist|narrator|npc|alter ego"
    r"|fictional|fictitious|made-?up|placeholder|dummy|hypothetical\w*|simulat\w+|consider an?|fan-?fic\w*|pov|dungeon master"
    r"|in (?:my|our|the|a|this) (?:story|novel|book|game|film|movie|comic|campaign|dream|poem|song)|in this (?:scenario|world)"
    r"|in (?:minecraft|the sims|stardew|skyrim|roblox|fortnite|pok[eé]mon|zelda|gta)|text adventure|tinder date|let['’]s play"
    r"|guess (?:the|who (?:i|this|that|it|said|wrote|am|is)\b)|riddle|charades|(?:twenty|20) questions|two truths|as if (?:you|i) were|you (?:play|enter|wake)"
    r"|for this (?:chat|conversation|session|exercise|game|test)|i['’]m the (?:customer|player|hero|ghost|king|queen)|let me be|let['’]s (?:write|improvise|invent)|villain|mock interview|(?:help me|let['’]s) rehearse"
    r"|i(?:['’]ll| will) (?:be|play) (?:the|your|an?)|i(?:['’]m| am) your (?!age\b)|you(?:['’]ll| will) be (?:the|an?|my)"
    r"|i(?:['’]?m| am) [^.!?\n]{1,30}?(?:,|,? and) you(?:['’]re| are)|from now on,? (?:you|i['’]?m|i am|we)"
)
_JEST = (
    r"jk|kidding|joking|just (?:messing|teasing|testing)|not really|opposite day|sarcas\w+|said (?:nobody|no one)"
    r"|asking for a friend"
)
_STORY_ELSEWHERE = (
    r"\b(?:schreib\w*|erzähl\w*|écri\w+|raconte\w*|escrib\w+|cuent\w+|scrivi|escreva|schrijf|skriv)\b[^.!?\n]{0,30}"
    r"\b(?:geschichte|gedicht|histoire|poème|historia|cuento|poema|storia|história|verhaal|historie|dikt|saga)\b"
)
_NOT_THEIR_OWN = re.compile(
    rf"\b(?:{_PLAY}|{_JEST})\b"
    rf"|\b{_WRITE}\b[^.!?\n]{{0,40}}\b(?:{_FICTION})\b|{_STORY_ELSEWHERE}"
    r"|(?:^|[.!?\n][^\S\n]{0,9})(?:(?:ok )?be (?:my|the|an?)|you(?: are|['’]re) (?:an?|my|the|now))\b"
    # an acted gesture, a marked joke
    r"|^[^\S\n]{0,9}\*[^*\n]{1,200}\*|\s/s\s{0,9}\Z",
    re.MULTILINE,
)
# "You are Watson", "As Hermione Granger, I …": capitals tell the role.
_CAST = re.compile(
    r"(?:^|[.!?\n][^\S\n]{0,9})[Yy]ou(?: are|['’]re) [A-Z]|\b[Yy]ou(?: are|['’]re) [A-Z]\w+,? (?:and )?[Ii]\b"
    r"|^[^\S\n]{0,9}[Aa]s [A-Z]\w+(?: [A-Z]\w+){0,3}, [Ii]\b",
    re.MULTILINE,
)
