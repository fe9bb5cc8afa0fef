"""From a message to the clauses that may be statements of the person who wrote it.

What a person quotes, pastes, asks, imagines or plays is left out here, so that the patterns see plain
statements only.
"""

# ruff: noqa: E501  a pattern's alternatives stay together

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_TEXT = 8_000  # characters; anything longer was pasted rather than typed
MAX_CLAUSE = 300
_DOCUMENT = 1_200  # characters from which a text counts as a document unless much of it speaks of its writer

_WORD_I = r"i|i['’]m|i['’]ve|my|mine|we|our|ich|mein\w*|je|mon|ma|yo|mi|jeg|jag|min|mitt|ik|mijn"
_FIRST_PERSON = re.compile(rf"\b(?:{_WORD_I})\b|j['’]|[我私яЯ]", re.IGNORECASE)


class Clause(NamedTuple):
    """`text` can stand alone; `evidence` is the span of the message it was taken from. `greeted`: it followed a
    greeting. `told`: the person asked to have it remembered. `before`: the statement before it in the sentence."""

    text: str
    evidence: str
    greeted: bool = False
    told: bool = False
    before: str = ""


def clauses(message: str) -> Iterator[Clause]:
    """The statements of a message, in order."""
    if len(message) > MAX_TEXT:
        return
    text = blank_quoted(message)
    if _NOT_THEIR_OWN.search(text) or _pasted(text):
        return
    for sentence in _sentences(text):
        if _ASKS_FOR_TEXT.match(sentence) or _presents(sentence):
            return
        if not _NOT_MEANT.search(sentence):
            yield from _from_sentence(sentence)


# --- what is not the person's own statement

_QUOTED = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`|^[ \t]*>[^\n]*|^(?:    |\t)[^\n]*"
    r"|\"[^\"\n]{1,400}\"|“[^”\n]{1,400}”|«[^»\n]{1,400}»|„[^“”\n]{1,400}[“”]|(?<![\w])['‘][^'’\n]{3,200}['’](?!\w)",
    re.DOTALL | re.MULTILINE,
)
HOLE = "\x00"


def blank_quoted(message: str) -> str:
    """Code, quotations and quoted lines become holes of the same length; a short title in quotes may stay."""

    def blank(found: re.Match[str]) -> str:
        quoted = found[0]
        is_title = quoted[0] in '"“«„' and len(quoted) < 40 and not _FIRST_PERSON.search(quoted)
        return quoted if is_title else re.sub(r"[^\n]", HOLE, quoted)

    return _QUOTED.sub(blank, message)


_TEXT_WORK = (
    r"translat\w+|re-?write|re-?phrase|paraphrase|proof-?read|summari[sz]e|polish|shorten|copy-?edit|spell-?\s?check|(?:write|say|put)\ (?:it\ |this\ )?in\ (?:\w+\ )?(?:english|words|style|german|french|spanish)|add\ (?:the\ )?(?:punctuation|commas)|condense|conjugate"
    r"|classify|extract|identify|annotate|parse|transcribe|rate|grade|evaluate|critique|roast|turn\ (?:this|it|the\ following)"
    r"|reply\ to|respond\ to|analy[sz]e\ (?:this|the)|complete\ (?:this|the)|continue\ (?:this|the)|tag|label|verbessere|korrigiere|corri(?:ge|ja)"
    r"|(?:fix|correct|improve|check)\s+(?:(?:the|my|this|any)\s+)?(?:grammar|spelling|english|wording|sentence|text|typos|german|french|spanish|norwegian)"
    r"|übersetz\w*|traduis\w*|traduire|traduc\w+|traduz\w*|traduci\w*|oversett?|översätt|vertaal|переведи|翻译|訳して"
)
_TEXT = (
    r"(?:text|e-?mail|message|letter|draft|essay|bio|profile|cv|resume|résumé|statement|transcript"
    r"|review|comment|post|tweet|story|passage|excerpt|extract|paragraph|sentence|phrase|quote|joke|lyrics?|poem"
    r"|snippet|persona|dictation|exercise|homework|worksheet|diary|ad|blurb|headline|slogan|script|scene|monologue|narrative|dialog(?:ue)?|testimonial|complaint|speech|caption|abstract)s?"
)
_FICTION = (
    r"stor(?:y|ies)|poem|song|lyrics|scene|dialog(?:ue)?|script|screenplay|novel|monologue|limerick|haiku|rap|fanfic"
)
_WRITE = r"(?:write|compose|create|tell|make\s+up|invent|draft|generate|continue)"
_NOT_THEIR_OWN = re.compile(
    rf"""
    \b(?:pretend|role-?\s?play\w*|in\ character|imagine|act(?:ing)?\ as|my\ character|hypothetical\w*
       |jk|kidding|joking|just\ (?:messing|teasing|testing)|not\ really|opposite\ day|sarcas\w+|said\ (?:nobody|no\ one)|asking\ for\ a\ friend
       |fictional|fictitious|made-?up|placeholder|dummy|protagonist|narrator|npc|alter\ ego|two\ truths|proverb|idiom|grammatical\w*
       |in\ (?:my|our|the|a)\ (?:story|novel|book|game|film|movie|comic|campaign|dream|poem|song)|in\ this\ (?:game|story|scenario|world)|the\ lyrics|simulat\w+|let['’]s\ play|as\ if\ (?:you|i)\ were
       |consider\ an?|you\ (?:play|enter|wake)|i(?:['’]ll|\ will)\ (?:be|play)\ (?:the|your|an?)|i(?:['’]m|\ am)\ your\ (?!age\b)|dungeon\ master|(?:the|a)\ user\ (?:sees|types)
       |make\ (?:this|it|that)\ sound|{_TEXT}\ to\ (?:check|fix|improve|review)
       |(?:here['’]?s|here\ is|this\ is|check|review|below\ is|here\ are|these\ are)\ (?:my|the|an?|some|what)\ (?:\w+\ ){{0,2}}{_TEXT}
       |(?:this|these|the\ following|following|below|above)\ {_TEXT}|(?:wrote|posted|sent|got)\ (?:me\ )?this|from\ (?:a|the|my)\ (?:book|novel|film|movie|song)
       |(?:suggest|draft|write|need)\ (?:me\ )?(?:an?|the|my|some)\ (?:\w+\ )?(?:reply|response|answer)|below\ is
       |guess\ (?:the|who|what)|riddle|charades|twenty\ questions|20\ questions|let\ me\ be|text\ adventure|tinder\ date|(?:what|which)\ (?:show|movie|film|song|series|book|novel|band)\ (?:is|was|does)|who\ (?:sang|sings|said|wrote)
       |(?:my|this|the)\ intro(?:duction)?|for\ this\ (?:chat|conversation|session|exercise|game|test)|i(?:['’]?m|\ am)\ [^.!?\n]{{1,30}}?(?:,|\ and|,\ and)\ you(?:['’]re|\ are)
       |you(?:['’]ll|\ will)\ be\ (?:the|an?|my)|i['’]m\ the\ (?:customer|player|hero))\b
    | (?:^|[.!?\n]\s*)(?:ok\ )?be\ (?:my|the|an?)\b
    | \bfan-?fic\w*|\bpov\b|\bin\ (?:minecraft|the\ sims|stardew|skyrim|roblox|fortnite|pok[eé]mon|zelda|gta)\b
    | ^\s*dm:
    | (?:^|[.!?\n]\s*)you(?:\ are|['’]re)\ (?:(?:an?|my|the|now)\b|(?-i:[A-Z]))
    | \byou(?:\ are|['’]re)\ (?-i:[A-Z])\w+,?\ (?:and\ )?i\b | \bfrom\ now\ on,?\ (?:you|i['’]?m|i\ am|we)\b | ^\s*as\ (?-i:[A-Z])\w+(?:\ (?-i:[A-Z])\w+)*,\ i\b
    | ^\s*\*[^*\n]+\*
    | (?:^|[.!?:,\n]\s*|\b(?:please|you|to|bitte)\s+)(?:{_TEXT_WORK})\b
    | \b{_WRITE}\b[^.!?\n]{{0,40}}\b(?:{_FICTION})\b
    | \b(?:schreib\w*|erzähl\w*|écri\w+|raconte\w*|escrib\w+|cuent\w+|scrivi|escreva|schrijf|skriv)\b[^.!?\n]{{0,30}}
      \b(?:geschichte|gedicht|histoire|poème|historia|cuento|poema|storia|história|verhaal|gedicht|historie|dikt|saga)\b
    | ^(?:from|to|subject|sent|dear|sehr\ geehrte)\b[^\n]{{0,80}}[:,]?\n | \n\s*dear\b
    | ^\s*(?:user|assistant|human|ai|bot|system|[qa]\d?)\s*:
    | \s/s\s*\Z
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
# From a request for a text on, what follows is its material; what the person says of themselves before is context.
_ASKS_FOR_TEXT = re.compile(rf"\s*(?!(?:my|our|please (?:remember|note)|remember|note|keep in|bear in|don['’]?t forget)\b)(?:(?!\b(?:i|we|ich|je|jeg)\b).)*?\b{_TEXT}\b", re.IGNORECASE)


# "Classify this: I hate …": what a colon presents is material, unless the words before it introduce the person.
_PRESENTED = re.compile(rf"^(?P<lead>.{{2,120}}?):\s+\S?.{{0,60}}?\b(?:{_WORD_I})\b", re.IGNORECASE)
_LABELLED = re.compile(
    r"\W*(?:persona|person|speaker|character|candidate|customer|patient|player|employee|client|example|sample|input|text"
    r"|story|name|race|class|backstory)\b[^:\n]{0,20}:",
    re.IGNORECASE,
)
_INTRODUCES = re.compile(
    r"\b(?:i|my|me|intro\w*|correction|update|context|fyi|btw|note|ps|background|question|sorry|hi|hello|hey|ok|also"
    r"|reminder|remember|remind|record|reference|disclosure|disclaimer|situation|info|news|right|well|that['’]s|so)\b",
    re.IGNORECASE,
)


def _presents(sentence: str) -> bool:
    found = _PRESENTED.match(sentence)
    return bool(found and not _INTRODUCES.search(found["lead"])) or bool(_LABELLED.match(sentence))


def _pasted(text: str) -> bool:
    if len(text) < _DOCUMENT:
        return False
    sentences = [each for each in _sentences(text) if each.strip()]
    own = sum(1 for each in sentences if _FIRST_PERSON.search(each))
    return own < len(sentences) * 0.4


# --- sentences

_BOUNDARY = re.compile(
    r"(?<!\bSt)(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bNo)(?<!\bvs)(?<!\be\.g)(?<!\bi\.e)(?<!\b[ap]\.m)"
    r"\.+(?=\s|\Z)|[!?。！？…]+|\n+|;"
)
_NOT_MEANT = re.compile(
    r"""\b(?:if|unless|suppos\w+|assum\w+|say\ i|let['’]s\ say|wish|as\ if|as\ though|maybe|perhaps|e\.g|for\ the\ sake\ of\ argument|in\ theory|in\ another\ life|dream(?:t|ed)|believes?
    |according\ to|apparently|allegedly|supposedly|rumou?r\w*|not\ true|untrue|a\ lie
    |(?<!@)example(?!\.\w)|test\ case|error:|lol|lmao|rofl|ha(?:ha)+|said|says|(?:he|she|they)\ (?:goes|went|was\ like|is\ like|are\ like)|told|asked|thinks?|claims?|wrote|texted|messaged|emailed|replied|answered|goes:
    |wenn|falls|würde|hätte|sag(?:t|te|en)|meinte?|schr(?:eibt|ieb)|erzählte?|fragte?|si\ (?:j['’]|je|yo|vivi|tuvi|fuer|io|eu)|dit|disait|(?:a|ont)\ (?:dit|écrit)|écrit|raconte|dijo|dice|escribió|disse|detto|skrev|ojalá|hvis|om\ jag|dersom
    |si?er\ at|sa\ at|als\ ik|zou|если|бы)\b|[😂🤣😜😝]|¿|如果|もし|\x00""",
    re.IGNORECASE | re.VERBOSE,
)
_INTERROGATIVE = r"what|which|how|where|when|why|who|whose|can|could|should|do|does|did|is|are|am|any|will|would|hva|hvor|hvordan|kan|was|wie|wo|kann|hast|habt|kannst|könntest|peux|pourrais|puedes|podrías|tienes|puoi|pode|que|qué|cómo|comment|quel\w*|vad|hur|wat|hoe|che|come|como"
_ASKS = re.compile(rf"\s*(?:{_INTERROGATIVE})\b", re.IGNORECASE)
_THEN_ASKS = re.compile(rf",\s+(?:so\s+|and\s+|but\s+)?(?=(?:{_INTERROGATIVE})\b)", re.IGNORECASE)
# "I'm on a keto diet, snacks under 200 kcal?"; but not "I'm Ada, right?"
_THEN_WANTS = re.compile(r"(?<=\w),\s+(?!(?:right|correct|or|no|yes|true|don|isn|aren|haven|huh|eh)\b)[^,?]{8,}[?？]$", re.IGNORECASE)


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        yield text[start : boundary.end()]
        start = boundary.end()
    yield text[start:]


def _from_sentence(sentence: str) -> Iterator[Clause]:
    statement = _stated(sentence)
    remembered = _REMEMBER.match(statement)
    if remembered and _FIRST_PERSON.search(remembered["what"]):
        what = remembered["what"].strip()
        yield Clause(what, what, told=True)
    elif statement and not _ASKS.match(statement):
        yield from _split(statement)


def _stated(sentence: str) -> str:
    """A sentence without its end mark; of a question what comes before it asks ("I'm vegan, what can I eat?")."""
    body = sentence.strip()
    if body.endswith(("?", "？")):
        asks = _THEN_ASKS.search(body) or _THEN_WANTS.search(body)
        body = body[: asks.start()] if asks else ""
    return body.strip(" \t.!。！…;,-–—*•")


_REMEMBER = re.compile(
    r"(?:(?:and|also|btw|ok|so|but)\W+)*(?:please\s+|pls\s+)?(?:always\s+)?"
    r"(?:(?:remember|note|keep\ in\ mind|bear\ in\ mind|don['’]?t\ forget|do\ not\ forget)"
    r"(?:\s+for\s+\w+)?(?:\s+that|\s*:|,)?|for\ (?:future\ reference|the\ record)\s*[,:])"
    r"\s+(?!when\b|how\b|what\b|to\b)(?P<what>.{3,280})",
    re.IGNORECASE,
)

# --- clauses

_CONTINUES = (
    r"live|work|own|have|love|hate|like|study|teach|speak|play|use|drive|prefer|enjoy|collect|volunteer|grew|moved"
    r"|wohne|lebe|arbeite|bin|habe|habite|travaille|suis|vivo|trabajo|tengo|soy|me|no me|mi|moro|trabalho|sou|lavoro|abito"
    r"|sono|ho|bor|jobber|jobbar|arbeider|arbejder|arbetar|er|är|woon|werk|ben"
)
_DESCRIBES = r"allergic|allergisch|allergique|allergisk|diabetic|vegan|vegetarian|married|retired|based|lactose"
_JOINT = re.compile(
    rf"(?:\s*[,:]\s*(?:(?:and|but|so|also|because|since|und|aber|et|mais|y|pero|og|men|och|en|e|ma|mas|now|currently)\s+)?"
    rf"|\s+(?:and|but|so|because|since|und|aber|et|mais|y|pero|og|men|och|en|e|ma|mas)\s+)"
    rf"(?=(?:{_WORD_I}|we['’]re|i['’]d)\b|j['’]|[я我])"
    rf"|\s*[，、]\s*|\s+[–—-]\s+"
    rf"|,?\s+(?:and|und|et|y|og|och|en|e)\s+(?=(?P<more>(?:{_CONTINUES})|(?P<adjective>{_DESCRIBES}))\b)",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"(?:I|we|ich|wir|je|jeg|jag|vi|ik)\b", re.IGNORECASE)
_COPULA = re.compile(
    r"(?:I['’]m|I am|we['’]re|we are|ich bin|je suis|jeg er|jag är|ik ben|soy|sono|sou)\b", re.IGNORECASE
)
_LEAD = re.compile(
    r"(?:(?P<greeting>hi|hey|hello|hallo|hei|hej|hola|salut|ciao|good (?:morning|evening))(?: there)?"
    r"|ok|okay|well|so|oh|yes|yeah|yep|no|nope|also|and|but|btw|by the way|actually|fyi|thanks|thank you|sure|cool"
    r"|quick intro|about me|just so you know|for context|for info|to be clear|correction|update|since|because"
    r"|currently|honestly|personally|anyway|hmm|um|wait|sorry|in fact|quick note|i meant?|you can|ps|p\.s|et|und|y|og)"
    r"(?:\s*[,:!.–-]+\s*|\s+)",
    re.IGNORECASE,
)
_TRAIL = re.compile(
    r"\s*(?:,\s*(?:so|please|pls|thanks|which is why|therefore|but|by the way|btw)\b.*"
    r"|\s(?:so please|btw|by the way|please|and (?:need|want|am looking|would like|was wondering))\b.*)\Z",
    re.IGNORECASE,
)


def _split(statement: str) -> Iterator[Clause]:
    """At each place where a new statement about the person begins; "and work at …" gets the subject before it."""
    start, borrowed, before = 0, "", ""
    greeted = False
    for joint in [*_JOINT.finditer(statement), None]:
        span = statement[start : joint.start() if joint else len(statement)]
        clause = _clause(span, borrowed, greeted)
        greeted = bool(clause is None and _is_greeting(span)) or (greeted and clause is None)
        if clause:
            yield clause._replace(before=before)
            before = clause.text
        if joint:
            start, borrowed = joint.end(), _borrowed(joint, before)


def _borrowed(joint: re.Match[str], before: str) -> str:
    if not joint["more"]:
        return ""
    subject = (_COPULA if joint["adjective"] else _SUBJECT).match(before)
    return subject[0] + " " if subject else ""


def _is_greeting(span: str) -> bool:
    found = _LEAD.match(span.strip() + " ")
    return bool(found and found["greeting"])


def _clause(span: str, borrowed: str, greeted: bool) -> Clause | None:
    body = span.strip()
    while lead := _LEAD.match(body):
        greeted = greeted or bool(lead["greeting"])
        body = body[lead.end() :]
    body = _TRAIL.sub("", body).strip(" ,:–-")
    return Clause(borrowed + body, body, greeted) if 2 < len(body) <= MAX_CLAUSE else None
