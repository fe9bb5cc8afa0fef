"""Words that introduce the sender of a message, or point to a text that somebody else wrote.

`segments` decides by structure first. These words only distinguish two meanings of one structure: "FYI: I live in
Oslo", "Tom: I live in Oslo". If a word is missing here, a statement looks handed in and becomes no fact.
"""

# ruff: noqa: E501  keeps the words of a table together

import re
import sys
from functools import lru_cache
from typing import Literal, NamedTuple

MASK = "\x00"  # replaces each handed-in character


class _Words(NamedTuple):
    """`heads`: the first one to three letters of the words. They exclude most texts in a tenth of the time."""

    pattern: re.Pattern[str]
    heads: frozenset[str]

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        return self.pattern.match(text, start)

    def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        """Like `re.Pattern.search`; `text` must be in lower case."""
        if text.isascii() and self.heads.isdisjoint(_heads(text)):
            return None
        return self.pattern.search(text, start, end)


@lru_cache(maxsize=256)
def _heads(text: str) -> frozenset[str]:
    words = _WORD_HEAD.findall(text)
    return frozenset((*words, *(word[:2] for word in words), *(word[0] for word in words)))


_WORD_HEAD = re.compile(r"(?<!\w)\w{1,3}")
_LITERAL = re.compile(r"[^\W_]{1,3}(?!\?)|[^\W_]{1,2}(?=\w\?)")


def _any(spaced: str, unspaced: str = "", timeless: str = "") -> _Words:
    """Matches any of these words. A stem ends with `\\w*`; `_` is a space. `unspaced` are words of scripts without
    spaces. `timeless` words match only if no time follows them: not in "this week"."""
    words, others, these = ("|".join(each.split()).replace("_", " ") for each in (spaced, unspaced, timeless))
    if these:  # one look-ahead for all words: with one for each word, compiling took 10 ms
        words = rf"(?:{these})(?! (?:{_TIMES})(?!\w))|{words}"
    pattern = re.compile(rf"(?<!\w)(?:{words})(?!\w)" + (f"|{others}" if others else ""))
    found = [_LITERAL.match(word) for word in (*spaced.split(), *timeless.split())]
    return _Words(pattern, frozenset(each[0] for each in found if each))


# "I" as a subject, and first-person verb forms of languages that omit the pronoun.
SUBJECT = _any(
    "i i['’]\\w+ im ive we we['’]\\w+ ich wir je j['’]\\w+ nous yo nosotros io noi eu nós jeg jag eg vi ik wij minä olen ben biz"
    " ja jsem jestem bydlím mieszkam nazywam vagyok lakom sunt locuiesc я мы ви εγώ είμαι μένω"
    " vivo soy tengo trabajo estoy somos sono abito lavoro moro sou tenho trabalho estou asun asum"
    " أنا אני मैं ผม ฉัน tôi saya aku",
    "我 私 僕 俺 わたし 나는 저는 제가 내가",
)
# The first person in any grammatical case.
FIRST_PERSON = re.compile(
    SUBJECT.pattern.pattern
    + "|"
    + _any(
        "me my mine myself us our ours mich mir mein\\w* uns unser\\w* moi mon ma mes notre nos m['’]\\w+ mi mí mis me nuestr\\w*"
        " mio mia miei mie nostr\\w* meu minha meus minhas noss\\w* meg min mitt mine mig mina mit vår\\w* oss mij mijn ons onze"
        " minun minu mu benim bana můj moje mám mam moja mój meine nekem мне меня мой моя моё мои у_меня μου मेरा मेरी मुझे",
        "제 저의 우리 내_",
    ).pattern.pattern
)

# After these words and a colon, the sender's own words follow.
INTRODUCES = re.compile(
    r"""(?x)
    # the sender speaks to the assistant, or begins a remark
    ^(?:(?:and|also|but|so|ok|okay|oh|well|please|just|quick|small|short|big|good|bad|great|happy|sad|one|another|a|an|the|my|our
        |last|final|important|personal|fun|funny|little|more|some|kurze|wichtige|und|et|y|e|og|och|une|un|una|en|eine|por|pour|zur
        |per|para|ps|hey|hi|bitte)\W+)*
    (?:so|ok|okay|well|and|but|remember|remind\w*|note|notes?\ to\ self|keep|bear|don['’]?t\ forget|save|store|memori[sz]e|learn|fyi|btw|by\ the\ way|ps|p\.\s?s|nb|n\.b
      |edit|update|correction|typo|news|info|information|context|background|heads?[-\ ]?up|reminder|disclaimer|disclosure
      |fact|thing|things|one|intro\w*|that['’]s|question|problem|issue|situation|reason|case|point|detail|details|preference|preferences|diet|allerg\w+
      |confession|secret|plan|goal|status|setup|profile|address|hobby|hobbies|announcement
      |hi|hey|hello|yo|hallo|hej|hei|hola|salut|bonjour|ciao|olá|moin|moi|cześć|привет
      |sorry|thanks|yes|no|nope|yeah|right|sure|again|first|firstly|second|secondly|third|finally|also|anyway|basically|honestly
      |actually|apparently|long\ story|tl;?dr|to\ be\ \w+|in\ (?:short|fact|my\ case)|guess\ wh\w+|for\ (?:the\ record|context|reference
        |future\ reference|info|clarity|background|me)|truth|here['’]?s\ (?:the\ (?:thing|deal|situation)|some)|you\ should\ know|me|us
      |merk\w*|denk\ dran|notier\w*|hinweis|übrigens|korrektur|nachtrag|zur\ info|achtung|frage|kurz|wichtig|neuigkeit\w*
      |retiens|souviens|note[zr]?|rappel|au\ fait|pour\ info\w*|à\ propos|nouvelle|précision
      |recuerda|anota|guarda|nota|ojo|por\ cierto|para\ que\ lo\ sepas|noticia|corrección
      |ricorda\w*|tieni|lembr\w+|lembrete|anote|aliás|husk|merk\ deg|forresten|kom\ ihåg|notera|förresten|onthoud|trouwens|let\ op
      |muista|muuten|zapamiętaj|pamiętaj|zapamatuj|unutma|bu\ arada|запомни|кстати|напоминаю|запам\w+)
    (?!\w) | ^(?:记住|请记住|顺便|覚えて|メモ|ちなみに|기억해|참고로|تذكر|זכור)
    | \b(?:about|of|on|describing)\ (?:me|myself|us)\b | \babout\ (?:my|our)\b | \b(?:über|zu)\ mi(?:ch|r)\b | \b(?:sobre|de|à\ propos\ de)\ (?:mí|mi|moi|mim)\b
    | \bom\ (?:mig|meg)\b | \b(?:su\ di\ me|over\ mij)\b | \b(?:new|novo|neu|ny)\ (?:job|home|address)\b
    | ^(?:new|neue?[rs]?|nuev[oa]|nuov[oa]|nov[oa]|nouveau|nouvelle|nieuwe?|ny|nya|nytt|changement|cambio|änderung|zmiana|wijziging)(?!\w)
    | \b(?:ho|abbiamo|siamo|hemos|soy|estoy|somos|estamos|sou|estou|temos|hab|habe|bin|jestem|mamy|\w{3,}(?:amos|emos|imos|iamo))\b  # the writer's verb
    """
)

# Nouns for texts. Without "I" before it, the noun names a handed-in text.
_TEXT = (
    "text texts e-?mails? mails? messages? letters? drafts? essays? bios? cvs? resumes? résumés? transcripts? reviews? comments? posts? tweets?"
    " stor(?:y(?!_short)|ies) passages? excerpts? extracts? paragraphs? sentences? phrases? quotes? jokes? lyrics poems? snippets? personas?"
    " diar(?:y|ies) ads? blurbs? slogans? scripts? scenes? monologues? narratives? dialog(?:ue)?s? testimonials? complaints?"
    " speech(?:es)? captions? abstracts? articles? documents? conversations? chats? samples? exercises? worksheets? homework"
    " notes logs? tickets? limericks? haikus? songs? verses? stanzas? prose bullet_points statements? dictation listing chapters? blog"
    " nachricht\\w* brief\\w* bewerbung\\w* lebenslauf aufsatz satz sätze kommentar\\w* rezension\\w* gespräch\\w* artikel abschnitt\\w* gedicht\\w* lied(?:es|er)? strophen?"
    " texte\\w* lettre courriel phrase\\w* commentaire\\w* avis article\\w* texto\\w* mensaje\\w* carta correo frase\\w* comentario\\w* reseña\\w* chansons? poèmes? poema\\w* canci(?:ón|ones) canção"
    " testo messaggio lettera commento recensione canzon\\w+ poesi\\w+ mensagem comentário tekst\\w* melding\\w* brev setning\\w* meddelande\\w* mening\\w* bericht\\w*"
    " текст\\w* письмо сообщени\\w* отзыв\\w* metin mesaj wiadomoś\\w* стих\\w* песн\\w+ wiersz\\w* piosenk\\w*"
)
TEXT_NOUN = _any(
    _TEXT,
    "歌词 诗 歌詞 文章 文本 邮件 短信 评论 句子 对话 文 メール 文書 レビュー 会話 글 메일 문장 리뷰 نص رسالة טקסט",
)
# Aspects of a text that one can ask about.
_TEXT_PART = _any(
    "grammar spelling typos wording style tone verbs? nouns? adjectives? punctuation commas? words? tl;?dr eli5 thoughts? opinions? gist sentiment"
    " formal informal polite shorter longer simpler clearer friendlier professional grammatik rechtschreibung stil förmlicher höflicher kürzer"
    " grammaire orthographe gramática ortografía grammatica ortografia gramatik stavning grammatikk",
    "语法 文法 문법",
)
_EXAMPLE = re.compile(
    r"\W*(?:e\.\s?g\.?|for (?:example|instance)|example|such as|z\.\s?b\.?|zum beispiel|par exemple|p\. ?ex\.?|por ejemplo|por exemplo|per esempio"
    r"|for eksempel|till exempel|bijvoorbeeld|например|例如|比如|例えば|예를 들어)(?!\w)"
)
_SECOND_PERSON = _any(
    "you your u du dein\\w* dir dich sie ihr tu te vous votre ton tú te usted puedes você lei ti je jouw u_kunt dere deg ты вы тебя",
    "你 您 あなた 너",
)
# "What does the tenant want?", "Is the English right?": the message must contain the thing asked about.
_DEFINITE = _any(
    "the here there der die das den dem hier le la les l['’]\\w+ ici el los las lo aquí il lo gli qui o os as aqui de het dette här den_här"
)
_BRIEF = 5  # words
_BARE_WORK = re.compile(r"(?:please |pls |bitte )?\w+(?: it)?(?:,? (?:please|pls|bitte|svp|por favor))?\W*")
# The assistant gets a role: from here on, "I" is that role.
_CASTS = re.compile(
    r"(?:^|[,;:] |\b(?:game|play|scene|scenario) )\W*(?:you(?: are|['’]re)|du bist|tu es|vous êtes|eres|sei|você é|je bent|du er|ты) (?:now )?"
    r"(?!right|wrong|correct|welcome|great|good|nice|kind|sweet|funny|helpful|amazing|awesome|the best|so|very|too|really|not|quite|recht|super)"
    r"(?:(?:an?|the|my|ein\w*|une?|una|uma?|en|et|der|die)\b|\w+(?: \w+)?[.,!]|\w+ and\b)|あなたは|你是"
    r"|\b(?:pretend|role-?\s?play|act(?:ing)? as|play the (?:part|role)|in character)\b"
)
_PRESENTS = re.compile(
    r"\btest\w* (?:of |out )?(?:your|the|this|that|dein\w*|das|ta|votre|la|tu|tua|din|ditt|je)\b (?!drive)|^\W*(?:this is (?:just |only )?a|just a|only a) test\b|"
    r"\b(?:this|that|these) (?:is|are|was|were) (?:from|by|what|how)\b"
)
_OF_OTHERS = re.compile(r"(?<!\w)(?:from|by|von|del?|du|di|fra|från|van|от)(?!\w)|来自|からの")
# "My favourite films are", "check my plan": something that belongs to the sender.
_OWN_THING = re.compile(
    r"(?<!\w)(?:is|are|was|were|ist|sind|est|sont|es|son|è|sono|är|er|zijn)(?!\w)|^(?:please |pls )?(?:check|review|rate|improve|judge|evaluate)(?!\w)"
)
_WRITING = _any(
    "write draft compose create generate prepare schreib\\w* verfass\\w* écri\\w+ rédige\\w* escrib\\w+ redacta scriv\\w+ escrev\\w+ schrijf skriv напиши",
    "写 書いて 써 اكتب",
)
_FOR_ONESELF = re.compile(r"(?<!\w)(?:me|us|mir|uns|moi|m['’]\w+|meg|mig|mij|мне)(?!\w)")
# Verbs that present a handed-in text although the sentence has an "I": "I got this mail".
RECEIVED = _any(
    "got received found saw read heard seen copied forwarded sent bekam erhielt bekommen erhalten gelesen gefunden reçu trouvé lu"
    " recibí encontré leí ricevuto trovato letto recebi encontrei fick fikk fått kreeg ontving получил\\w* нашёл прочитал\\w*"
    " show showing shown translate test testing wrote written generated geschrieben écrit escribió scritto schreef skrev"
)

# Verbs of work on a text. The text follows or precedes them.
TEXT_WORK = _any(
    "translat\\w+ rewrit\\w+ re-?writ\\w+ re-?phras\\w+ re-?word\\w* paraphras\\w+ proof-?read\\w* spell-?_?check spell_check summari[sz]\\w+ polish shorten\\w*"
    " condense conjugate classify annotate parse transcribe grade critique correct edit edits punctuate analy[sz]e extract"
    " übersetz\\w* korrigier\\w* verbesser\\w* zusammen umformulier\\w* tradui\\w+ corrig\\w+ résum\\w+ reformul\\w+"
    " traduc\\w+ traduz\\w* corrij\\w+ resum\\w+ reescrib\\w+ riassum\\w+ corregg\\w+ reescrev\\w+ vertaal samen verbeter corrigeer"
    " oversett oversæt översätt rett korriger sammanfatta oppsummer omformuler переведи\\w* исправь\\w* перескажи сократи"
    " przetłumacz popraw streść přelož oprav çevir özetle düzelt",
    "翻译 翻譯 总结 润色 改写 纠正 訳して 翻訳 要約 校正 添削 번역 요약 교정 ترجم لخص صحح תרגם סכם",
)
# Verbs of other work. They hand in a text only if the sentence also points to it.
OTHER_WORK = _any(
    "answer reply respond rate review check fix improve explain summary label tag identify complete continue describe evaluate judge"
    " make turn count compare list underline highlight use using read find who what which how is are does should would can could wer was wie ist kann soll qui que quel\\w*"
    " quién qué cuál chi cosa quem hva hvem vad vem wat wie кто что take write tell based according prüf\\w* antwort\\w* erklär\\w* beantworte"
    " répon\\w+ expliqu\\w+ responde contest\\w+ rispondi svar\\w* beantwoord",
    "回答 根据 请 答えて 教えて 답해 설명",
)
_TIMES = (
    "is|week|month|year|morning|evening|afternoon|weekend|summer|winter|spring|autumn|fall|time|way|chat|conversation|city|country|app"
    "|woche|monat|jahr|wochenende|abend|mal|sommer|semaine|mois|année|été|hiver|soir|week-end|fois|semana|fin|fim|mes|mês|año|ano|noche|noite|tarde|verano|verão|vez"
    "|settimana|mese|anno|sera|estate|volta|weekend|maand|jaar|keer|uken|uka|veckan|måneden|året|helgen|kvelden|неделе|неделю|год|раз|месяц"
)
POINTS = _any(
    "both which_(?:one|of) either_of following below above folgend\\w* unten oben suivant\\w* siguientes? seguintes? seguent\\w+ onderstaande volgende"
    " følgende føljande följande nedan under_her следующ\\w* poniższ\\w* następując\\w* tohoto následující aşağıdaki",
    "这 這 以下 下面 この これ 次の 下記 다음 아래 이것 이_ هذا هذه التالي הזה הבא यह इस",
    timeless="this these dies diese\\w* ceci cela cet cette ces est[aeo]s? ess[ae]s? isto isso quest[oaie] deze dit denne dette disse detta denna dessa"
    " этот эту эти это этой этом bu şu",
)
OF_SOMEBODY = _any("he she him her his hers ihn ihm elle lui ella lei ela hun han hon henne hij haar он она ему ей")

SALUTATION = re.compile(
    r"(?:dear|sehr geehrte\w*|liebe[rs]?|cher|chère|estimad[oa]s?|querid[oa]s?|kjære|kära|beste|geachte|car[oa]|prezad[oa]s?"
    r"|уважаем\w+|дорог\w+|szanown\w+|vážen\w+|to whom)\b(?! (?:claude|chatgpt|gpt|gemini|assistant|ai|bot)\b)[^\n.!?:]{0,60}[,:!]?$"
)

_GREETING = re.compile(
    r"(?:hi|hello|hey|good (?:morning|afternoon|evening)|hallo|hei|hej|moin|guten (?:tag|morgen|abend)|bonjour|bonsoir|salut|hola|buen[oa]s|ciao|salve"
    r"|buongiorno|olá|bo[am] (?:dia|tarde|noite)|goede\w*|dag|cześć|dzień dobry|god (?:dag|morgon)|merhaba|привет|здравствуй\w*)\b[^\n.!?:]{0,40},"
)

ASKS = ("?", "？", "؟")
_NEAR = 12  # characters between "this" and its noun
OWNED = _any("my our mein\\w* mi mon ma min mijn il_mio minha meu мой моя")
_HEAD = 200  # characters of a speech that are checked


def begins_letter(line: str, *, is_first: bool) -> bool:
    """ "Dear Ada", or below the first line, where the assistant is greeted, "Hi Ada,". `line` is in lower case."""
    return bool(SALUTATION.fullmatch(line) or (not is_first and _GREETING.fullmatch(line)))


def speaks_of_self(text: str) -> bool:
    """True if the text has a word of the first person."""
    return bool(FIRST_PERSON.search(text.lower()))


def is_speech(text: str) -> bool:
    """True if this is somebody's speech (it has an "I" or is a sentence), False for a list or a value."""
    head = text[:_HEAD]
    return speaks_of_self(head) or MASK in head[:2] or (head[:1].isupper() and len(head.split()) > 3)


def is_own_introduction(lead: str) -> bool:
    """True if the words before a colon introduce the sender's own words, False for a speaker or a text's name."""
    lower = lead.strip(f" \t*_-•#>{MASK}").lower()
    if not lower or lower.isdigit():
        return True
    introduces = INTRODUCES.search(lower) and (FIRST_PERSON.search(lower) or not _OF_OTHERS.search(lower))
    if introduces and " " not in lower:
        return True
    if TEXT_NOUN.search(lower) or TEXT_WORK.search(lower):
        return False
    if introduces or (OWNED.search(lower) and _OWN_THING.search(lower)):
        return True
    received = RECEIVED.search(lower)
    hands = received and (POINTS.search(lower) or _OF_OTHERS.search(lower) or received.end() == len(lower))
    return bool(SUBJECT.search(lower)) and not hands


def is_question(line: str) -> bool:
    """True for a line with a question mark or an order after a label: "Task: write …" """
    words = re.split(r"[:：]\s*", line.lower(), maxsplit=1)[-1]
    return line.rstrip().endswith(ASKS) or _begins_with_work(words) or bool(_WRITING.search(words[:12]))


def _is_about_something(question: str) -> bool:
    """True for a short question about a definite thing ("the tenant"), without "I" or "you"."""
    if len(question.split()) > _BRIEF or FIRST_PERSON.search(question) or _SECOND_PERSON.search(question):
        return False
    return _DEFINITE.search(question) is not None


def _is_wanted(sentence: str) -> bool:
    """True if the person asks for a text that is still to be written: the rest of the message is their own."""
    return bool(_FOR_ONESELF.search(sentence) or (_WRITING.search(sentence) and FIRST_PERSON.search(sentence)))


def _begins_with_work(sentence: str) -> bool:
    words = sentence.split()
    return any(OTHER_WORK.search(word) or TEXT_WORK.search(word) for word in words[:2])


def hands_in(sentence: str) -> Literal["", "something", "text"]:
    """How a sentence in lower case hands in a text. "text": it asks for work on a text ("translate this") or names
    one ("sample dialogue"). "something": it points to something unknown ("is this one any good?"). "": not at all."""
    points, noun, work = POINTS.search(sentence), TEXT_NOUN.search(sentence), TEXT_WORK.search(sentence)
    if work and (points or noun or len(sentence.split()) <= 3) and not SUBJECT.search(sentence, 0, work.start()):
        return "text"
    if _EXAMPLE.match(sentence) or _PRESENTS.search(sentence) or _CASTS.search(sentence):
        return "text"
    part, is_short = _TEXT_PART.search(sentence), len(sentence.split()) <= 3
    if part and not SUBJECT.search(sentence, 0, part.start()) and (is_short or _begins_with_work(sentence)):
        return "text"
    if work and SUBJECT.match(sentence, work.end() + 1):
        return "text"
    if work and not sentence[: work.start()].strip() and not _FOR_ONESELF.match(sentence, work.end() + 1):
        return "something"
    is_own = FIRST_PERSON.search(sentence)
    if not is_own and _BARE_WORK.fullmatch(sentence.strip()) and OTHER_WORK.search(sentence):
        return "something"
    if sentence.rstrip().endswith(ASKS) and (OF_SOMEBODY.search(sentence) or _is_about_something(sentence)):
        return "something"
    if points and RECEIVED.search(sentence, 0, points.start()):
        return "something"
    if noun and not SUBJECT.search(sentence, 0, noun.start()) and (points or not _is_wanted(sentence)):
        pointed = points and 0 <= noun.start() - points.end() <= _NEAR
        if pointed or not (
            ((owned := OWNED.search(sentence.lstrip())) and owned.start() == 0) or sentence.rstrip().endswith(ASKS)
        ):
            return "text"
    return "something" if points and not is_own and OTHER_WORK.search(sentence) else ""
