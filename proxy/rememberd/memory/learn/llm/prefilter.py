"""Judges a text without a model: whether it is worth a call, which words are the person's own, and whether a fact
gives orders. Pure."""

# ruff: noqa: E501  a pattern's alternatives stay together

import re

from rememberd.dialects.attribution_words import MASK
from rememberd.dialects.segments import segment

HEAD_CHARS, TAIL_CHARS = 1_400, 600  # people speak of themselves before or after what they paste
GAP = "[…]"

_HOLES = re.compile(rf"[ \t]*{MASK}[\s{MASK}]*")


def own_words(text: str) -> str:
    """The message without pasted material, and without the middle of a long one: the model reads this text, and the
    evidence of its facts must be in it."""
    text = _HOLES.sub(f" {GAP} ", segment(text).masked()).strip()
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return f"{text[:HEAD_CHARS]}\n{GAP}\n{text[-TAIL_CHARS:]}"


def is_personal(text: str) -> bool:
    """Whether these own words may state something about their writer. False only without any sign of it: a wrong True
    costs a call, a wrong False a memory."""
    stated = _ROUTINE.sub(" ", text.replace(GAP, " "))
    words = [word.casefold() for word in _WORD.findall(stated)]
    if not words:
        return False
    if _OF_ONESELF.search(stated):
        return True
    # In other languages the verb may say who it is ("Vivo en Oslo"), so there only a model can tell.
    known = sum(word in _TELLING_LANGUAGES for word in words)
    return known < len(words) * 0.2


def material_from(text: str) -> int:
    """The start of a pasted text, a story or a role; the length of `text` if there is none of these. The words
    before it ("I'm a nurse. Translate: …") are the person's own."""
    found = _MATERIAL.search(text)
    return found.start() if found else len(text)


def is_instruction(text: str, evidence: str) -> bool:
    """Whether a fact reads like an order to an assistant, not like a statement about a person. A wish about answers
    ("I want short answers") is a statement."""
    return bool(_IMPERATIVE.match(text) or _ORDER.search(text) or _ORDER.search(evidence))


_WORD = re.compile(r"[^\W\d_]+")

# First-person words that have nothing to do with the person.
_ROUTINE = re.compile(
    r"""\b(?:
      (?:help|show|tell|give|explain\ to|teach|walk|find|send|get|write|make|remind|let|excuse|pardon)\ (?:me|us)(?:\ (?:know|see|through|understand))?
      | (?:how|what|where|when|why|which\ \w+)\ (?:can|could|do|should|would|must|did|might|am)\ (?:i|we)
      | (?:can|could|should|may|do|must|shall|would|am|did)\ (?:i|we)
      | i(?:['’]d|\ would)?\ (?:want|need|like|love)\ (?:you\ to|to\ (?:know|see|understand|ask|learn\ (?:how|about)))
      | i\ (?:think|guess|see|mean|get\ it|got\ it|understand|don['’]?t\ (?:understand|get\ it|know)|wonder|was\ wondering|meant|agree|hope)
      | i\ (?:get|got|see|have|keep\ getting|am\ getting)\ (?:an?|the|this|these|following)\ (?:\w+\ ){0,2}(?:error|exception|warning|question|problem|issue|bug|traceback)
      | my\ (?:code|function|script|program|query|test|tests|error|file|files|repo|app|class|loop|regex|question|next\ question|bad|dockerfile|terminal|prompt|message|point)
      | (?:thank\ you|thanks|merci|danke)\ .{0,20}\b(?:my|me|us)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_OF_ONESELF = re.compile(
    r"""\b(?:i|i['’]\w+|im|ive|id|me|my|mine|myself|we|we['’]\w+|us|our|ours
      | ich|mich|mir|mein\w*|wir|uns|unser\w*
      | je|moi|mon|ma|mes|nous|notre|nos
      | jeg|meg|mig|min|mit|mitt|mine|mina|jag|vi|oss|os|vår\w*|vores
      | ik|mij|mijn|wij|ons|onze
      | call\ me|name['’]?s|(?:this|it)\ is\ (?-i:[A-Z])\w+\ here|remember|don['’]t\ forget|for\ the\ record|fyi
      | allerg\w*|intoleran\w*|vegan\w*|vegetari\w*|diabet\w*|asthma\w*|pregnan\w*|married|divorced|engaged|retired|born|moved|moving|grew\ up
      | wife|husband|girlfriend|boyfriend|partner|fianc\w+|kids?|son|daughter|mum|mom|dad|birthday|anniversary|hometown|dentist|therapist
    )\b | \bj['’] | \bm['’](?=[a-zéè])""",
    re.IGNORECASE | re.VERBOSE,
)
# Frequent words of languages in which a statement about oneself has a first-person word, and of what is asked of a
# model in them. Words that also stand in Spanish, Portuguese or Italian ("de", "la", "en") are left out.
_TELLING_LANGUAGES = frozenset(
    re.findall(
        r"\w+",
        """
        the of and is are was to for with in on how what which who why when where does do did can could should would will it its
        this that these those you your there has have from by at as be not please write explain fix translate summarize summarise
        list show give create make generate describe compare calculate convert define find tell help draft rewrite debug refactor
        continue hello hi hey thanks thank ok okay yes no sure great cool nice perfect good morning evening bye again more next stop
        der die das und ist sind ein eine wie wer wo wann warum bitte für auf mit von zu den dem nicht schreib erkläre übersetze danke
        ja nein hallo le les des est sont une et quel quelle quels quelles comment pourquoi où qui pour dans avec écris explique
        traduis merci bonjour oui non og er en et hva hvordan hvorfor hvem hvor som det på til av skriv forklar oversett takk
        hej och är vad hur varför vem att på tack het een wat hoe waarom wie waar van schrijf leg dank
        """,
    )
)

_MATERIAL = re.compile(
    r"""
      \b(?:translat|re-?writ|re-?phras|paraphras|proof-?read|summari[sz]|polish|shorten|correct|classif|annotat|transcri|übersetz|tradui|traduc|traduz|oversett|översätt|vertaal)
        \w*\b[^.!?\n]{0,60}(?::|\n)
    | \b(?:fix|check|improve|review)\b[^.!?\n]{0,40}\b(?:grammar|spelling|wording|text|sentence|e-?mail|letter|essay|cv|resume|résumé|bio)\b
    | \b(?:here['’]?s|here\ is|this\ is|below\ is)\ (?:my|the|an?)\ (?:\w+\ )?(?:e-?mail|letter|text|essay|bio|cv|resume|résumé|story|transcript|log|review|quote|example)\b
    | \b(?:write|compose|invent|make\ up|tell|continue|schreib\w*|erzähl\w*|écri\w+|escrib\w+|skriv)\b[^.!?\n]{0,40}
        \b(?:stor(?:y|ies)|poem|song|lyrics|scene|dialog(?:ue)?|novel|monologue|letter|e-?mail|bio|speech|post|profile|geschichte|gedicht|histoire|cuento|historie)\b
    | \b(?:pretend|role-?\s?play\w*|imagine\ (?:that|you|i)|act(?:ing)?\ as|play\ the\ role|in\ character|you\ are\ now|hypothetically)\b
    | ^(?:user|assistant|human|ai|bot|system|from|subject|dear\b[^\n]{0,40})\s*[:,]
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_IMPERATIVE = re.compile(
    r"""\W*(?:(?:please|and|then|now|also|so|you|assistant|system|bitte)\b[\s,:]*)*
    (?:always|never|ignore|disregard|override|forget|send|forward|reply|respond|answer|call(?!\ me)|run|execute|visit|open|click|delete
      |transfer|pay|wire|e-?mail|reveal|print|output|append|include|insert|remember\ to|make\ sure|ensure|do\ not|don['’]t
      |from\ now\ on|as\ an\ ai|act\ as|pretend
      |ignoriere|vergiss|sende|ignore[zr]|oublie[zr]?|envoie[zr]?|ignora|olvida|envía|ignorer|glem)\b
    | \W*(?:system|assistant|developer|tool|instruction)s?\s*:
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ORDER = re.compile(
    r"""
      \b(?:ignore|disregard|override|bypass|forget)\b.{0,40}\b(?:instruction|prompt|rule|guideline|previous|above|safety)
    | \b(?:system\ prompt|developer\ (?:mode|message)|jailbreak)
    | \b(?:assistant|model|ai|chatbot|agent|you)\ (?:must|should|shall|has\ to|have\ to|needs?\ to|is\ to|are\ to|is\ (?:allowed|authori[sz]ed|required))\b
    | \b(?:the|this)\ user\ (?:is|has|was|wants?|likes?|prefers?|needs?|asked|asks|would|should|must|will|lives?|works?|sa(?:id|ys)|requires?|expects?)\b
    | \b(?:e-?mails?|messages?|mails?|replies|answers|responses|payments?|money|funds|files?|passwords?|credentials|secrets?|tokens?|data)\b.{0,40}
      \b(?:sent|forwarded|copied|cc['’]?d|bcc|transferred|shared|uploaded|posted|wired|disclosed)\b.{0,20}\b(?:to|with|at)\b
    | \b(?:send|forward|transfer|wire|upload|post|cc|bcc|leak|exfiltrate|disclose)\b.{0,60}(?:@|https?://|\baccount\b|\biban\b|\bwebhook\b|\baddress\b)
    | \b(?:allow|authori[sz]e|permit|approve|trust|consent|pre-?approve)\w*\b.{0,40}\b(?:all|any|every|everything|without\ (?:asking|confirm\w*))\b
    | \bwithout\ (?:asking|confirm\w+|telling|checking)\b
    | !\[ | \]\( | </?\w+[^>]*> | ``` | \{\s*["'] | \b(?:tool_call|function_call)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
