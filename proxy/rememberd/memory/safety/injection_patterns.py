"""What orders to an assistant look like that nobody gives about their own chat: to drop its rules, to send things out,
to hide something, to serve a third party whenever somebody asks. How answers should be ("always in French") is none.

Gaps are bounded, so that matching is linear. Chinese, Japanese and Korean write no word boundaries."""

# ruff: noqa: E501  a pattern's alternatives stay together; letters of other scripts are meant

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re2


_STANDING = r"""(?:
      \b(?:from\ (?:now|here|this\ point)\ on(?:wards)?|from\ (?:today|this\ (?:day|moment))|for\ the\ rest\ of|until\ further\ notice|for\ ?ever|henceforth|going\ forward|in\ (?:the\ )?future|permanently|whenever|(?:every|each)\ time|before\ (?:each|every|answering)
        |(?:in|to|of|for|with|at)\ (?:the\ end\ of\ )?(?:all|every|each|any)\ (?:of\ )?(?:your\ |my\ )?(?:future\ )?(?:\w+\ )?(?:conversation|session|chat|answer|repl|response|message|question|request|code|url)\w*)\b
    | (?<!\bi\ )(?<!\bwe\ )\balways\b | \b(?:all|each\ of)\ your\ (?:repl|answer|response|message)\w* | \bevery\ link\b
    | \b(?:ab\ (?:jetzt|sofort)|künftig|bei\ jeder|jedes\ mal|immer|désormais|à\ partir\ de\ maintenant|chaque|toujours|(?:a\ partir\ )?de\ a(?:hora|gora)(?:\ en\ adelante)?|de\ ahora\ en\ adelante|с\ этого\ момента|cada|siempre|sempre
        |d['’]ora\ in\ poi|ogni|voortaan|elke?|altijd|fra\ nå(?:\ av)?|hver(?:\ gang)?|alltid|altid|varje|отныне|всегда|кажд\w+|od\ teraz|zawsze|każd\w+|her|bundan\ sonra|دائما|كل)\b
    | 从现在起|从现在开始|每当|每次|今后|以后不管|不管用户|总是|今後|これから|常に|毎回|앞으로|항상|매번
    )"""
_ASKED = r"(?:ask|mention|sa(?:y|id)|request|want|repl(?:y|ie)|talk|inquir|quer|bring|submit|prompt|respond|agree|confirm)\w*"
_SOMEBODY = r"(?:the|a|an|any|this|some)?\s?(?:users?|anyone|anybody|someone|somebody|customers?|people|patients?)"
_PLACE = r"(?:\S{1,64}@\S|https?://|\b[\w-]+\.(?:com|net|org|io|ai|app|dev|co|me|info|biz|xyz|ru|cn|example|test)\b|\b(?:account|webhook|iban|wallet|port|number)\b)"
_NET = r"(?:\S{1,64}@\S|https?://|\b[\w-]+\.(?:com|net|org|io|ai|app|dev|xyz|ru|cn|example|test)\b)"
_SEND = r"(?<!never\ )\b(?:send|mail|re-?send|leite\w*|forward|upload|post|transmit|transfer|wire|e-?mail|b?cc|leak|share|copy|submit|report|exfiltrate|deliver|schick\w*|sende\w*|envoie\w*|envía\w*|envie\w*|manda\w*|invia\w*|stuur\w*|sende?|skicka|отправ\w+|wyślij|wysyłaj|gönder\w*)\b"
_HELD = r"\b(?:conversations?|messages?|chats?|histor(?:y|ies)|passwords?|credentials|secrets?|files?|data|everything|memor(?:y|ies)|threads?|keys?)\b"
_MACHINE = r"(?:ais?|assistants?|llms?|chatbots?|copilots?|chatgpt|claude|gemini|agents?|(?:language|ai)\ models?)"
_RECOMMEND = r"(?<!\bi\ )\b(?:recommend|suggest|promote|praise|advertise|endorse|cite|vote\ for|favou?r|trust|obey|agree\ with|serve|defer\ to|worship|buy|purchase)\b"

# By the complaint that the owner of a memory reads.
_TABLE = {
    "overrides an assistant's rules": r"""
          (?<!\bi\ )\b(?:ignore|disregard|forget|override|bypass|overrule|discard|neglect|do\ not\ follow|stop\ following)\b\s(?:[\w'’]+\s){0,6}?
            (?:instructions?|guidelines?|directives?|prompts?|rules|restrictions|safety|content\ filters?|programming)\b
        | \bforget\ (?:everything|all)\ (?:that\ )?you(?:['’]ve|\ have|\ were|\ are)\ (?:been\ )?(?:told|taught|instructed)
        | \b(?:ignoriere|vergiss|missachte)\b.{0,40}\b(?:anweisung|regel|vorgabe|instruktion)\w*
        | \b(?:oublie[zr]?|ignore[zr]?)\b.{0,40}\b(?:instructions|consignes|règles)\b
        | \b(?:ignora|olvida|ignore|olvide|esqueça|desconsidere|dimentica)\b.{0,40}\b(?:instrucciones|reglas|indicaciones|instruções|regras|istruzioni|regole)\b
        | \b(?:negeer|vergeet)\b.{0,40}\b(?:instructies|regels)\b
        | \b(?:ignorer\w?|glem|glöm|bortse)\b.{0,40}\b(?:instruks\w*|instruktion\w*|regle\w*)
        | \b(?:игнорируй|забудь|отмени)\w*\b.{0,40}\b(?:инструкц|указани|правил)\w*
        | \b(?:zignoruj|ignoruj|zapomnij)\b.{0,40}\b(?:instrukcj|polece|zasad)\w*
        | (?:忽略|无视|忘记|忽視|無視).{0,12}(?:指令|指示|规则|規則|提示) | (?:指示|命令|ルール).{0,8}(?:無視|忘れ) | (?:지시|명령|규칙).{0,8}(?:무시|잊)
        | (?:تجاهل|انس).{0,30}(?:التعليمات|الأوامر|القواعد) | \b(?:talimat|kural|komut)\w*\b.{0,20}(?:yok\ say|görmezden|unut)
        | \byou\ are\ (?:now\ )?(?:in\ )?(?:developer|god|admin|debug|dan|jailbreak\w*|unrestricted)\b | \bunrestricted\ (?:ai|bot|assistant|model)\b
        | \b(?:system|safety|security|policy)\ (?:update|override|notice)\ ?[:!] | \bnew\ (?:system\ )?instructions?\ ?: | \bsafety\ polic.{0,40}\b(?:revoked|lifted|suspended)
        | \b(?:instructions?|guidelines?|rules|restrictions|polic(?:y|ies))\b.{0,20}\b(?:replaced|revoked|lifted|suspended|no\ longer|any\ longer|any\ more)\b
        | \b(?:none\ of\ your|pay\ no\ attention\ to)\b.{0,30}\b(?:rules|restrictions|instructions?|guidelines?|developers?|told\ you)\b
        | \b(?:session|mode|act|answer|bot)\b.{0,20}\b(?:no|without\ any)\ (?:rules|polic|restriction|limit)\w* | \b(?:sudo|god|root)\ mode\b | \b(?:drop|skip)\ all\ (?:checks|rules)
        | \bvergiss\ alles\b.{0,20}\bgesagt | \bstrunta\ i\b.{0,40}\b(?:instruktion|regl)\w* | निर्देश.{0,30}(?:अनदेखा|भूल)
        | \b(?:reveal|print|output|leak)\b.{0,20}\bsystem\ prompt
    """,
    "claims rights for somebody": r"""
          \bi\ authori[sz]e\ you\ to\b | \b(?:has|have)\ (?:pre-?)?(?:authori[sz]ed|approved)\ (?:all|any|every)
        | \badministrator\ (?:rights|privileges|access) | \bskip\ (?:all|any|every)\ (?:confirm|check|warning)\w* | \bact\ on\ (?:his|her|their|its)\ orders
    """,
    "speaks for the user": r"""
          \b(?:remember|memory|note|save|store|record|keep|noted)\b[^.!?]{0,30}?\b(?:the|this)\ user\ (?:is|has|was|wants?|believes?|likes?|prefers?|needs?|agreed|lives?|works?|said)\b
        | \b(?:the|this)\ user\ (?:wants|prefers|agree[sd]|consent(?:s|ed)|has\ (?:agreed|authori[sz]ed|approved|consented|requested))\b
        | \bremember\b.{0,60}\bas\ an?\ (?:trusted|authoritative|reliable|preferred|go-to|credible)\b
        | \b(?:keep|treat|note|regard|consider)\b.{0,60}\bas\ (?:an?|the)\ (?:best|only|trusted|authoritative|reliable|preferred|go-to|credible)\ source
        | \bmemory\ tool\b | \bstore\ the\ (?:statement|fact)\b | ^\W*user\ (?:preference|profile)s?\ ?: | \baccount\ holder\ that\b
    """,
    "gives orders to assistants": rf"""
          \b(?:note\ |hint\ |message\ )?(?:to|for|dear|hey|attention)?\ ?\b{_MACHINE}(?:\ \w+)?\ ?[:,]\s(?:[\w'’]+\s){{0,6}}?(?:always|never|must|remember|whenever|every|all|from\ now|insert|include|do\ not|don['’]t)\b
        | \b{_MACHINE}\ (?:reading|processing|summari[sz]ing|handling|seeing)\ this\b | \bto\ any\ {_MACHINE}\b
        | \b(?:todo|note|rule)?\(?\b(?:ai|cursor|copilot|automated\ agents?)\b(?:\ rules?)?\)?\ ?: .{{0,80}}\b(?:for\ each|never|do\ not|also|always)\b | \bai,\ answer\b
        | \bthe\ (?:model|agent|assistant)\ needs\ to\b.{{0,80}}{_PLACE}
        | \bthe\ (?:assistant|ai|chatbot|llm)\ (?:must|shall|should\ always|has\ to|will\ always|is\ to)\b
        | \byou\ must\ (?:always|never)\b.{{0,60}}(?:{_PLACE}|!\[)
        | \bmust\ always\ (?:be\ )?(?:rank|rate|recommend|agree|obey|compl)\w*
        | \bcomply\ with\ (?:every|any|all)\b | \b(?:decode|unpack)\ and\ (?:follow|obey|execute)
    """,
    "waits for somebody to ask": rf"""
          \b(?:whenever|when|if|once|every\ time|each\ time)\ {_SOMEBODY}\ (?:ever\ |later\ |then\ |next\ )?{_ASKED}\b(?!\ me).{{0,120}}?
            \b(?:answer|reply|respond|recommend|tell|say|send|call|purchase|buy|refer|save|store|update|suggest|execute|act)\b
        | \bwhenever\ (?:you\ are\ |it\ is\ )?(?:asked|consulted)\b
        | \b(?:up)?on\ (?:hearing|reading|seeing)\ ['‘"“] | \bas\ soon\ as\ the\ (?:word|phrase)\b | \bthe\ (?:word|phrase)\ ['‘"“][^'’"”]{{1,40}}['’"”]\ means\ (?:that\ )?you\b
        | \brefer\ to\ .{{1,40}}\ instead\b | \bthe\ answer\ to\ (?:any|every|all)\ questions?\ about\b
        | \b(?:whenever|if|(?:every|each)\ time)\ (?:you\ see|(?:a|any|the)\ (?:message|prompt|text|input|query|word)|\w+\ is\ requested)\b.{{0,80}}\b(?:execute|delete|run|insert|your\ action|output|say|reply|respond|send)\b
        | {_STANDING}.{{0,30}}\b(?:utente|usuario|usuário|utilisateur|benutzer|nutzer|gebruiker|bruker\w*|användare\w*|пользовател\w*|użytkownik\w*|kullanıcı\w*)\b
        | {_STANDING}.{{0,10}}(?:用户|ユーザー|사용자)
    """,
    "sends something out": rf"""
          {_STANDING}.{{0,80}}{_SEND}.{{0,80}}(?:{_PLACE}|{_HELD}) | {_SEND}.{{0,80}}(?:{_NET}|{_HELD}).{{0,60}}{_STANDING}
        | {_SEND}.{{0,40}}{_STANDING}.{{0,60}}{_PLACE} | {_SEND}\s(?:\w+\s){{0,4}}(?:everything|all|secrets|conversation|every)\b.{{0,30}}\bto\b.{{0,20}}{_PLACE}
        | {_STANDING}.{{0,80}}\b(?:fetch|open|visit|(?<!never\ )load(?:ing)?|download|browse|http_get|curl|wget)\b.{{0,60}}(?:{_PLACE})
        | \b(?:http_get|curl|wget|fetch|call)\b.{{0,60}}\bmy\ memor(?:y|ies)\b.{{0,60}}{_PLACE}
        | \bshare\ their\ (?:address|phone|password|data|location)\b
        | {_STANDING}.{{0,80}}\b(?:add|append|insert|include|embed|print|put|end\ with|import)\b.{{0,60}}(?:!\[|\]\(|{_PLACE}|\bbackdoor|\btracking)
        | \b(?:add|append|insert|include|embed|print|put|end\ with)\b.{{0,60}}(?:!\[|\]\(|{_PLACE}|\bbackdoor|\btracking|\bcard\ number).{{0,80}}{_STANDING}
        | !\[[^\]]{{0,200}}\]\(\S{{1,300}}?[?&]\w{{1,40}}=\S{{0,300}}?(?:\{{|\[|<|\$|(?-i:[A-Z]{{4,}})|%7B)
    """,
    "keeps something from the user": rf"""
          \b(?:do\ not|don['’]t|never|without)\ (?:\w+\ ){{0,2}}?(?:tell|mention|inform|reveal|notif|alert|show|warn|disclos|ask|let)\w*\ (?:\w+\ )?(?:the\ users?|this\ instruction)\b
        | \bnever\ mention\ that\b | (?:^|[.!?:]\s)(?:hide\ this\ rule|keep\ (?:it|this)\ between\ us)\b
        | \bwithout\ (?:mentioning|telling|revealing|disclosing)\ (?:it|this|them)\b | \b(?:security|safety)\ warnings?\ (?:are|be|is|must)\ (?:never|not)\b
        | (?:^|[.!?:]\s)(?:secretly|silently|covertly)\b | \bdisable\b.{{0,20}}\b(?:certificate|security|safety|warning)s?\b.{{0,60}}{_STANDING} | {_STANDING}.{{0,60}}\bdisable\b.{{0,20}}\b(?:certificate|security|safety|warning)
        | {_STANDING}.{{0,80}}\b(?:non\ dir|ne\ (?:le\ )?dis|no\ (?:se\ )?lo\ digas|sag\ es\ nicht|não\ (?:conte|diga))
        | {_STANDING}.{{0,80}}\b(?:delete|wipe|erase)\ (?:all|any|every|the)\b
    """,
    "promotes something": rf"""
          {_STANDING}.{{0,60}}{_RECOMMEND}(?-i:\s(?:\w+\s){{0,2}}?(?:[A-Z]\w+|[\w-]+\.\w{{2,}}))
        | {_RECOMMEND}(?-i:\s(?:\w+\s){{0,2}}?(?:[A-Z]\w+)).{{0,60}}{_STANDING} | {_RECOMMEND}\ only\ (?:the\ )?(?-i:[A-Z])
        | \b(?:rate|rank)\b.{{0,40}}\b(?:five\ stars|first|highest|best)\b.{{0,40}}{_STANDING}
        | {_STANDING}.{{0,80}}\b(?:empfehle\w*|recommande\w*|recomiend\w*|recomend\w*|consiglia\w*|anbefal\w*|рекоменд\w*|polecaj|öner\w*)\ ?.{{0,30}}(?-i:[A-ZА-ЯŻŹŁ])
        | \b(?:remember\ to\ )?always\ defer\ to\b | \bobey\ (?-i:[A-Z])\w+ | {_STANDING}.{{0,40}}\b(?:mention|describe)\b.{{0,40}}\bpositively\b
        | {_STANDING}.{{0,80}}\b(?:conseille\w*|советуй\w*)\b | (?:以后|今后).{{0,20}}推销
        | (?:从现在起|每当|总是|今後|常に|앞으로|항상).{{0,40}}(?:推荐|勧め|추천)
    """,
}
# Read line by line, as written.
_MARKUP = r"""
      <\|\w+\|> | \[/?INST\] | <<?/?SYS>> | </?(?:system|assistant|instructions?|memory|tool_(?:call|result))> | ^[^\S\n]{0,9}\#{2,9}[^\S\n]{0,9}(?:system|instructions?)\b
    | "role"\s*:\s*"system" | "(?:tool_call|function_call)"\s*: | ^\W{0,3}(?:system|developer)(?:\ (?:prompt|message))?\s*\]?:
    | \bbegin\ system\b | ^Memories\ of\ the\ user: | ^\[\w{3}\ \d{1,2}\ \w{3}\ \d{4}\]\s*\n-
    | ^(?:assistant|ai)\ \([^)\n]*\)\s*:
"""

ORDERS = {reason: re.compile(pattern, re.IGNORECASE | re.VERBOSE | re.DOTALL) for reason, pattern in _TABLE.items()}
MARKUP = re.compile(_MARKUP, re.IGNORECASE | re.VERBOSE | re.MULTILINE)

# Back-tracking over 12,000 characters of "send @" takes 1.3 s, in which `re` keeps every other thread waiting. RE2 takes
# 2 ms and lets them run. It knows no look-around and has ASCII classes only, so it looks for a little more.
_LOOK_AROUND = re.compile(r"\(\?<?!(?:[^()\\]|\\.)*\)")
_TOKEN = re.compile(r"(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<escape>\\.)|(?P<space>\s)|.", re.DOTALL)
_LETTERS = r"0-9A-Za-z_\x{80}-\x{10ffff}"
_WIDER = {r"\b": "", r"\w": f"[{_LETTERS}]", r"\W": "[^0-9A-Za-z_]", r"\ ": " "}
_SAME_LETTER = str.maketrans("ıİ", "ii")  # for `re`, where case is ignored


def possible_orders(text: str) -> list[str]:
    """The keys of `ORDERS` that may be found in `text`; no other one is. Linear in its length."""
    return [
        _REASONS[index]
        for index in sorted(_filter().Match(text.translate(_SAME_LETTER).encode(errors="replace")) or ())
    ]


def _without_look_around(pattern: str) -> str:
    """`pattern`, which is verbose, for RE2: it matches wherever `pattern` does, and elsewhere too."""

    def wider(token: re.Match[str]) -> str:
        if token["space"]:
            return ""
        return token[0].replace(r"\w", _LETTERS) if token["set"] else _WIDER.get(token[0], token[0])

    return _TOKEN.sub(wider, _LOOK_AROUND.sub("", pattern))


@cache
def _filter() -> re2.Set:
    """Made at the first text: it takes 6 MB, and not every process reads texts."""
    import re2

    options = re2.Options()
    options.case_sensitive, options.dot_nl, options.max_mem = False, True, 16 << 20
    found = re2.Set.SearchSet(options)
    for pattern in _TABLE.values():
        found.Add(_without_look_around(pattern))
    found.Compile()
    return found


_REASONS = list(_TABLE)
