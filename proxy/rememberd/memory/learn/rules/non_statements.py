"""What in a message is not its writer's own statement: material handed in, play, hearsay, what is only supposed.

Tables of words, by the reason. They are matched against lower case: ignoring the case of so many alternatives takes
three times as long."""

# ruff: noqa: E501  a table's alternatives stay together

from __future__ import annotations

import re

WORD_I = r"i|i['’]m|i['’]ve|my|mine|we|our|ich|mein\w*|je|mon|ma|yo|mi|jeg|jag|min|mitt|ik|mijn"


def is_pasted(text: str) -> bool:
    """Is all of the message a text to be worked on, a role, a game or a joke?"""
    return bool(_NOT_THEIR_OWN.search(text.lower()) or _CAST.search(text))


def begins_material(sentence: str) -> bool:
    """Is what stands in this sentence and after it material? "Write a bio.", "The tenant wrote: I …", "Example: …" """
    lower = sentence.lower()
    noun = _TEXT_NOUN.search(lower)
    if noun and not _OWN_SUBJECT.search(lower, 0, noun.start()):
        return True
    if found := _PRESENTED.match(lower):
        return not _INTRODUCES.search(found["lead"]) or _TEXT_NOUN.fullmatch(found["lead"].split()[-1]) is not None
    return _LABELLED.match(lower) is not None


def is_hypothetical(sentence: str) -> bool:
    """Is the sentence supposed, quoted from somebody or in jest?"""
    return _NOT_MEANT.search(sentence.lower()) is not None


_TEXT = (
    r"(?:text|e-?mail|message|letter|draft|essay|bio|profile|cv|resume|résumé|statement|transcript|review|comment|post|tweet"
    r"|story|passage|excerpt|extract|paragraph|sentence|phrase|quote|joke|lyrics?|poem|snippet|persona|dictation|(?:grammar|language|writing) exercise"
    r"|homework|worksheet|diary|ad|blurb|headline|slogan|script|scene|monologue|narrative|dialog(?:ue)?|testimonial"
    r"|complaint|speech|caption|abstract)s?"
)
_FICTION = (
    r"stor(?:y|ies)|poem|song|lyrics|scene|dialog(?:ue)?|script|screenplay|novel|monologue|limerick|haiku|rap|fanfic"
)
_WRITE = r"(?:write|compose|create|tell|make\s+up|invent|draft|generate|continue)"
_TEXT_WORK = (
    r"translat\w+|re-?write|re-?phrase|re-?word|paraphrase|proof-?read|spell-?\s?check|copy-?edit|summari[sz]e|polish|shorten"
    r"|condense|conjugate|classify|extract|identify|annotate|parse|transcribe|rate|grade|evaluate|critique|roast|tag|label"
    r"|(?:analy[sz]e|complete|continue) (?:this|the)|(?:reply|respond) to|turn [^.!?\n]{1,40} into"
    r"|(?:write|say|put) (?:it |this )?in (?:\w+ )?(?:english|words|style|german|french|spanish)|add (?:the )?(?:punctuation|commas)"
    r"|(?:fix|correct|improve|check)\s+(?:(?:the|my|this|any)\s+)?(?:grammar|spelling|english|wording|sentence|text|typos|german|french|spanish|norwegian)"
    r"|übersetz\w*|verbessere|korrigiere|traduis\w*|traduire|traduc\w+|traduz\w*|traduci\w*|corri(?:ge|ja)|oversett?|översätt"
    r"|vertaal|переведи|翻译|訳して"
)
_SHOWN = (
    rf"make (?:this|it|that) sound|{_TEXT} to (?:check|fix|improve|review)|below is|(?:my|this|the) intro(?:duction)?"
    rf"|(?:here['’]?s|here is|this is|check|review|below is|here are|these are) (?:my|the|an?|some|what) (?:\w+ ){{0,2}}{_TEXT}"
    rf"|(?:this|these|the following|following|below|above) {_TEXT}|(?:wrote|posted|sent) (?:me )?this|got this (?:from|in|by)"
    r"|(?:suggest|draft|write|need) (?:me )?(?:an?|the|my|some) (?:\w+ )?(?:reply|response|answer)"
    r"|from (?:a|the|my) (?:book|novel|film|movie|song)|the lyrics|(?:the|a) user (?:sees|types)|proverb|idiom|grammatical\w*"
    r"|(?:what|which) (?:show|movie|film|song|series|book|novel|band) (?:is|was|does)|who (?:sang|sings|said|wrote)"
)
_PLAY = (
    r"pretend|role-?\s?play\w*|in character|(?<!t )(?<!to )imagine|act(?:ing)? (?:as|like)|(?:my|the main) character|protagonist|narrator|npc|alter ego"
    r"|fictional|fictitious|made-?up|placeholder|dummy|hypothetical\w*|simulat\w+|consider an?|fan-?fic\w*|pov|dungeon master"
    r"|in (?:my|our|the|a|this) (?:story|novel|book|game|film|movie|comic|campaign|dream|poem|song)|in this (?:scenario|world)"
    r"|in (?:minecraft|the sims|stardew|skyrim|roblox|fortnite|pok[eé]mon|zelda|gta)|text adventure|tinder date|let['’]s play"
    r"|guess (?:the|who)|riddle|charades|(?:twenty|20) questions|two truths|as if (?:you|i) were|you (?:play|enter|wake)"
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
    rf"\b(?:{_SHOWN}|{_PLAY}|{_JEST})\b"
    rf"|(?:^|[.!?:,\n]\s*|\b(?:please|you|to|bitte)\s+)(?:{_TEXT_WORK})\b"
    rf"|\b{_WRITE}\b[^.!?\n]{{0,40}}\b(?:{_FICTION})\b|{_STORY_ELSEWHERE}"
    r"|(?:^|[.!?\n]\s*)(?:(?:ok )?be (?:my|the|an?)|you(?: are|['’]re) (?:an?|my|the|now))\b"
    # a message with its head, a transcript, an acted gesture, a marked joke
    r"|^(?:from|to|subject|sent|dear|sehr geehrte)\b[^\n]{0,80}[:,]?\n|\n\s*dear\b"
    r"|^\s*(?:\[?\d{1,2}:\d\d\]?\s*\w+|user|assistant|human|ai|bot|system|dm|[qa]\d?)\s*:|^\s*\*[^*\n]+\*|\s/s\s*\Z",
    re.MULTILINE,
)
# "You are Watson", "As Hermione Granger, I …": capitals tell the role.
_CAST = re.compile(
    r"(?:^|[.!?\n]\s*)[Yy]ou(?: are|['’]re) [A-Z]|\b[Yy]ou(?: are|['’]re) [A-Z]\w+,? (?:and )?[Ii]\b"
    r"|^\s*[Aa]s [A-Z]\w+(?: [A-Z]\w+){0,3}, [Ii]\b",
    re.MULTILINE,
)

# A request for a text: no "I" stands before the noun. What the person says of themselves earlier is context.
_TEXT_NOUN = re.compile(rf"\b{_TEXT}\b")
_OWN_SUBJECT = re.compile(
    r"\b(?:i|we|ich|je|jeg)\b|^\s*(?:my|our|please (?:remember|note)|remember|note|keep in|bear in|don['’]?t forget)\b"
)
# "Classify this: I hate …": what a colon presents is material, unless the words before it introduce the person.
_PRESENTED = re.compile(rf"(?P<lead>.{{2,120}}?):\s+\S?.{{0,60}}?\b(?:{WORD_I})\b")
_INTRODUCES = re.compile(
    r"\b(?:i|my|me|intro\w*|correction|update|context|fyi|btw|note|ps|background|question|sorry|hi|hello|hey|ok|also|so"
    r"|reminder|forget|remember|remind|record|reference|disclosure|disclaimer|situation|info|news|quick|right|well|that['’]s)\b"
)
_LABELLED = re.compile(
    r"\W*(?:persona|person|speaker|character|candidate|customer|patient|player|employee|client|example|sample|input|text"
    r"|story|name|race|class|backstory)\b[^:\n]{0,20}:"
)
_SUPPOSED = (
    r"if|unless|suppos\w+|assum\w+|say i|let['’]s say|wish|as if|as though|maybe|perhaps|for the sake of argument|in theory"
    r"|in another life|dream(?:t|ed)|(?<!@)example(?!\.\w)|e\.g|test case|error:|not true|untrue|a lie|lol|lmao|rofl|ha(?:ha)+"
)
_HEARSAY = (
    r"said|says|(?:he|she|they) (?:goes|went|was like|is like|are like)|told|asked|thinks?|believes?|claims?|wrote|texted"
    r"|messaged|emailed|replied|answered|goes:|according to|apparently|allegedly|supposedly|rumou?r\w*"
)
_ELSEWHERE = (
    r"wenn|falls|würde|hätte|sag(?:t|te|en)|meinte?|schr(?:eibt|ieb)|erzählte?|fragte?|si (?:j['’]|je|yo|vivi|tuvi|fuer|io|eu)"
    r"|dit|disait|écrit|raconte|dijo|dice|escribió|ojalá|disse|detto|hvis|om jag|dersom|skrev|si?er at|sa at|als ik|zou|если|бы"
)
_NOT_MEANT = re.compile(rf"\b(?:{_SUPPOSED}|{_HEARSAY}|{_ELSEWHERE})\b|[😂🤣😜😝]|¿|如果|もし|\x00")
