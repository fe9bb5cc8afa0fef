"""What people ask of the memory itself, in the chat: show it, remember or forget something, keep this to ourselves. Pure.

A wish is recognised only where it is a sentence of its own, first or last: one that is overheard by mistake deletes
something; one that is missed can be said again."""

# ruff: noqa: E501  a pattern's alternatives stay together

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rememberd.memory.learn.rules.sentences import sentences

_LONGEST = 400  # characters; people say these things shortly, pasted documents do not

Kind = Literal["show", "remember", "forget", "forget_about", "forget_all", "off_record"]


@dataclass(frozen=True, slots=True)
class MemoryCommand:
    """`show`: everything known; `remember`: `what`; `forget`: whatever says `what`; `forget_about`: whatever names it;
    `forget_all`: everything, once it is `confirmed`; `off_record`: nothing of this conversation."""

    kind: Kind
    what: str = ""
    confirmed: bool = False


def memory_command(text: str, previous: str | None = None) -> MemoryCommand | None:
    """None for everything that is not plainly about the memory. A bare "yes" confirms what `previous`, the person's
    message before, asked for."""
    text = text.strip().replace("’", "'")
    if len(text) > _LONGEST or not (_HINT.search(text) or _YES.fullmatch(text)):
        return None
    if _YES.fullmatch(text):
        asked = memory_command(previous) if previous else None
        return MemoryCommand("forget_all", confirmed=True) if asked == MemoryCommand("forget_all") else None
    parts = [text[span.start : span.end] for span in sentences(text)]
    for said in dict.fromkeys((text, parts[0], parts[-1])):
        if found := _of(said):
            return found
    return None


def off_record(text: str) -> bool:
    """A wish for nothing of this conversation to be kept. Cheap on what is plainly something else."""
    return len(text) <= _LONGEST and memory_command(text) == MemoryCommand("off_record")


def _of(said: str) -> MemoryCommand | None:
    if _OFF_RECORD.fullmatch(said):
        return MemoryCommand("off_record")
    if _SHOW.fullmatch(said):
        return MemoryCommand("show")
    if found := _ALL.fullmatch(said):
        return MemoryCommand("forget_all", confirmed=bool(found["yes"]))
    if found := _EVERYTHING_ABOUT.fullmatch(said):
        return MemoryCommand("forget_about", found["what"].strip())
    if (found := _FORGET.fullmatch(said)) and _is_own(found["what"], said):
        return MemoryCommand("forget", _THEN_ASKS.sub("", found["what"]).strip(" ,"))
    if (found := _REMEMBER.fullmatch(said)) and _OWN.search(found["what"]):
        return MemoryCommand("remember", found["what"].strip())
    return None


def _is_own(what: str, said: str) -> bool:
    """ "Forget that I smoke", not "forget that approach"; "delete my address", not "delete my file"."""
    if not _OWN.search(what) or _NOT_ABOUT_ME.search(what):
        return False
    return bool(_FORGETS.search(said) or _OF_MEMORY.search(said) or _ATTRIBUTE.search(what))


def _form(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


_END = r"(?:,? (?:please|bitte|por favor|per favore|s'il te plaît|alsjeblieft|takk|tack))?[ ?.!。！]*"
_POLITE = (
    r"(?:(?:hey|hi|ok|okay|so|and|also|now|please|pls|kindly|actually|bitte|por favor|per favore|s'il te plaît|alsjeblieft"
    r"|пожалуйста|proszę|yes|ja|sí|sì|oui|sim)[, ]+|请)*"
    r"(?:(?:could|can|would|will) you (?:please )?|i(?:'d| would) like you to |i want you to |you (?:can|may|should) |please "
    r"|(?:kannst|könntest) du (?:bitte )?|(?:peux|pourrais)-tu |(?:puedes|podrías) |(?:puoi|potresti) |(?:pode|poderia) |kan je |kan du )?"
)
# "forget" says that it is about the memory; "delete" may be about a file, and needs more.
_FORGET_VERB = (
    r"forget|vergiss|vergesst|vergessen sie|vergessen|oublie[rz]?|olvida(?:r|te)?|olvide|dimentica(?:re)?|esque[cç]a?(?:er)?|vergeet|vergeten"
    r"|glem|glöm|glemme|забудь(?:те)?|zapomnij|忘记|忘掉|忘了|忘れて"
)
_DELETE_VERB = (
    r"delete|remove|erase|wipe|clear|drop|lösch\w*|entfern\w*|supprime[rz]?|efface[rz]?|retire[rz]?|borra(?:r)?|borre|elimina(?:r|re)?|elimine"
    r"|quita(?:r)?|cancella(?:re)?|rimuovi|apaga(?:r)?|apague|remov[ae]|verwijder|wis|slett|slet|fjern|radera|ta bort|удали(?:те)?|сотри|usuń"
    r"|删除|清除|削除して"
)
_NOT_KEEP = (
    r"(?:don't|do not|never|stop|no longer|quit)(?: (?:you|ever))? (?:remember(?:ing)?|keep(?:ing)?|sav(?:e|ing)|stor(?:e|ing)|memori[sz](?:e|ing)|record(?:ing)?)"
    r"|i (?:don't|do not) want you to (?:remember|know|keep|store|save)"
    r"|(?:merk dir|speicher\w*|behalte) (?:bitte )?nicht|no (?:recuerdes|guardes|memorices)|ne (?:retiens|garde|mémorise|te souviens) (?:pas|plus)"
    r"|non (?:ricordare|salvare|memorizzare)|não (?:guarde|lembre|memorize|guardes)|onthoud niet|ikke (?:husk|lagre)|kom inte ihåg|не запоминай"
)
_THAT = (
    r"(?:,? (?:the fact |the memory |your memory )?that|,? about(?: the fact that)?|:|,? dass|,? daß|,? que|,? qu'|,? che|,? dat|,? att|,? at|,? что|,? że"
    r"|,? (?:what (?:i (?:said|told you)|you know) about)|,? über|,? sobre|,? di| om| про| o(?!\w))?\s*"
)
_FROM_MEMORY = r"(?:,? (?:from|in|out of) (?:your |the |my )?(?:memor(?:y|ies)|notes)|,? aus (?:deinem|dem) gedächtnis|,? de (?:ta|la|tu|sua) (?:mémoire|memoria|memória))?"
_FORGETS = _form(rf"^{_POLITE}(?:{_FORGET_VERB}|{_NOT_KEEP})")
_OF_MEMORY = _form(
    r"\b(?:memor(?:y|ies)|notes about me|the fact that|gedächtnis|mémoire|memoria|memória|what you know)\b"
)
# Whose it is: "forget that I smoke", not "forget that approach".
_OWN = _form(
    r"\b(?:i|i'm|i've|i'd|my|me|mine|we|our|ich|mich|mir|mein\w*|wir|unser\w*|je|j'\w+|moi|mon|ma|mes|yo|mis?|vivo|soy|tengo|trabajo|me llamo|jeg|jag|min|mitt|mine|mina"
    r"|io|mio|mia|abito|sono|lavoro|ho|eu|meu|minha|moro|sou|tenho|trabalho|ik|mijn|я|мой|моя|мне|меня|живу|mój|moja|mieszkam|mam|jestem)\b|[我私]"
)
_NOT_ABOUT_ME = _form(
    r"^(?:i|we) (?:ever )?(?:asked|said (?:it|that|this|so|anything)|mentioned|wrote|told you|was (?:here|asking))\b"
    r"|^(?:i|we) \w+ (?:it|that|this|them)$|\b(?:my|the|our) (?:last|previous|first|earlier|question|message|request|prompt|file|files|code|draft|text|list|branch"
    r"|account|folder|photos?|e-?mails?|tables?|rows?|columns?|comment|commit|docker|database|cookies|history|cache|duplicates)\b|^(?:i|we) ever$|instructions"
)
_ATTRIBUTE = _form(
    r"\b(?:my|mein\w*|mon|ma|mi|meu|minha|mijn|min|mitt|mio|mia|моё|мой) (?:home ?town|(?:home )?address|name|age|birthday|job|employer|phone(?: number)?|diet|allerg\w+|partner|wife|husband|salary"
    r"|adresse|wohnort|name|alter|geburtstag|beruf|dirección|ciudad|nombre|edad|trabajo|adresse|ville|nom|âge|indirizzo|nome|età|lavoro|endereço|idade|trabalho|naam|adres|leeftijd)\b"
)
_FORGET = _form(
    _POLITE,
    rf"(?:{_FORGET_VERB}|{_DELETE_VERB}|{_NOT_KEEP})(?: (?:bitte|please))?",
    _THAT,
    r"(?P<what>.+?)",
    _FROM_MEMORY,
    _END,
)
_EVERYTHING_ABOUT = _form(
    _POLITE,
    rf"(?:{_FORGET_VERB}|{_DELETE_VERB}|{_NOT_KEEP})(?: bitte)? (?:everything|anything|all|alles|tout(?: ce que tu sais)?|todo(?: lo que sabes)?|tutto|tudo|alt|allt|всё|все|wszystko)"
    r"(?: (?:that )?you (?:know|remember|have stored|stored|saved)| was du weißt)?"
    r" (?:about|on|regarding|über|zu|sur|sobre|acerca de|su|di|over|om|о|про|o) (?P<what>(?!me\b|us\b|mich\b|moi\b|mí\b|mi\b|me\b|mim\b|mij\b|meg\b|mig\b|this\b|that\b|it\b|the (?:above|previous)).{2,80}?)",
    _FROM_MEMORY,
    _END,
)
_MEMORIES = r"(?:all|every one)(?: of)? (?:my|your) (?:memor(?:y|ies)|data about me)|(?:my|your) (?:entire |whole )?memory|my memories|your memories (?:of|about) me"
_ALL = _form(
    r"(?P<yes>(?:yes|ja|sí|oui|sì|sim|да|tak|はい|是的)[,.!]? (?:please )?)?",
    _POLITE,
    rf"(?:{_FORGET_VERB}|{_DELETE_VERB})(?: bitte)? (?:",
    _MEMORIES,
    r"|(?:everything|all|alles(?:,? was du)?|tout(?: ce que tu sais)?|todo(?: lo que sabes)?|tutto(?: quello che sai)?|tudo(?: o que sabe)?|alt|allt|всё|все|wszystko)(?: (?:that )?you(?:'ve| have)? (?:know|knew|remember|stored|saved|learned)| was du| du vet)?"
    r"(?: (?:about|on|of|über|sur|sobre|de|su|di|over|om|обо|o) (?:me|mich|moi|mí|mi|mim|mij|meg|mig|мне|mnie))(?: weißt| hast)?"
    r"|(?:alle |all )?meine (?:erinnerungen|daten)|(?:toutes )?mes (?:souvenirs|données)|(?:todos )?mis (?:recuerdos|datos)|(?:tutti )?i miei (?:ricordi|dati)|(?:todas )?as minhas memórias|todas minhas memórias|al mijn herinneringen|alle minnene mine|alla mina minnen)",
    _END,
)
_YES = _form(
    r"(?:yes|yes,? please|yes,? (?:do it|delete (?:it|them|all|everything)|i'm sure|i am sure|go ahead)|ja|ja,? bitte|sí|oui|sì|sim|да|tak|是|はい)[.! ]*"
)
_THEN_ASKS = _form(
    r",? (?:and|und|et|y|e|og) (?:what|where|when|who|how|why|which|can|could|tell|was|wo|wie|wann|où|que|dónde|cómo|dove)\b.*$"
)
_SHOW = _form(
    _POLITE,
    r"(?:what(?: all| exactly| else| things)? (?:do|did|have) you (?:know|remember|learn(?:ed|t)?|stored?|saved?)"
    r"(?: so far| already| now)? (?:about|of|on) me(?: so far| already| now| by now)?",
    r"|(?:show|tell|list|give)(?: me)?(?: everything| all| what)?(?: that)? you(?:'ve| have)?"
    r" (?:know|remember|learn(?:ed|t)|stored?|saved?)(?: about| of| on) me",
    r"|(?:show|list|tell)(?: me)?(?: all(?: of)?)? (?:my|your) memor(?:y|ies)(?: (?:of|about) me)?",
    r"|do you (?:know|remember) (?:anything|something) about me",
    r"|was wei(?:ß|ss)t du (?:alles |schon )?über mich|que sais-tu (?:de|sur) moi|qu'est-ce que tu sais (?:de|sur) moi"
    r"|¿?qué (?:sabes|recuerdas) (?:de|sobre) mí|cosa sai (?:di|su) me|o que (?:você )?sabe(?:s)? (?:de|sobre) mim|wat weet je (?:over|van) mij"
    r"|hva vet du om meg|vad vet du om mig|hvad ved du om mig|что ты (?:обо мне )?знаешь(?: обо мне)?|co o mnie wiesz|你知道我什么|你对我了解多少|私について何を知って(?:いますか|る)?)",
    _END,
)
_TALK = r"(?:this|our)(?: whole| entire)?(?: conversation| chat| session| discussion| talk)"
_DENY = r"(?:don't|do not|never|stop|no longer|quit)"
_KEEP = (
    r"(?:remember(?:ing)?|sav(?:e|ing)|stor(?:e|ing)|record(?:ing)?|keep(?:ing)?|memori[sz](?:e|ing)|log(?:ging)?)"
)
_OFF_RECORD = _form(
    _POLITE,
    rf"(?:{_DENY} {_KEEP}(?: (?:any|anything|a word|all))?(?: (?:of|about|from|in))? {_TALK}|forget {_TALK}"
    rf"|keep {_TALK} (?:off the record|out of (?:your )?memory|private)|(?:this|{_TALK}) (?:is|stays|should stay|must stay)(?: strictly)? off the record"
    r"|(?:merk dir|speicher\w*) (?:bitte )?(?:dieses gespräch|diesen chat|diese unterhaltung) nicht|ne (?:retiens|garde|mémorise) pas cette conversation"
    r"|no (?:recuerdes|guardes) esta conversación|non (?:ricordare|salvare) questa conversazione|não (?:guarde|lembre) esta conversa|ikke (?:husk|lagre) denne samtalen|onthoud dit gesprek niet)",
    _END,
)
_REMEMBER = _form(
    _POLITE,
    r"(?:remember|note|keep in mind|bear in mind|don't forget|do not forget|merk dir|denk daran|vergiss nicht|souviens-toi|rappelle-toi|retiens|n'oublie pas|recuerda|ten en cuenta"
    r"|no olvides|ricorda(?:ti)?|non dimenticare|lembre(?:-se)?|lembra(?:-te)?|não esqueça|onthoud|vergeet niet|husk|kom ihåg|ikke glem|запомни|не забудь|zapamiętaj|记住|請記住|覚えて(?:おいて)?)"
    r"(?: (?:please|bitte|for \w+))?(?:,? that|:|,| dass|,? dass|,? que|,? qu'|,? che|,? dat|,? at|,? att|,? что|,? że)?\s*(?! ?(?:when|how|what|to|who|where)\b)(?P<what>.{3,280}?)",
    _END,
)
_HINT = _form(
    rf"{_FORGET_VERB}|{_DELETE_VERB}|{_NOT_KEEP}|remember|memor|record|know|learned|stored|note|mind|sai[st]|sabes?|weißt|weisst|weet|vet|ved|merk|souviens|rappelle|retiens"
    r"|recuerd|ricord|lembr|onthoud|husk|ihåg|знаешь|запомни|wiesz|zapamiętaj|知|了解|记|覚|conversation|chat|session"
)
