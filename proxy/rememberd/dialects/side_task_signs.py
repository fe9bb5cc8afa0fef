"""Signs of a prompt that a program wrote for itself, as patterns over lower case. Each is weak alone; `side_tasks` counts them."""

# ruff: noqa: E501  a pattern's alternatives stay together

from __future__ import annotations

import re

# What is to be made: something that only an index of conversations, or another model, needs.
WORK = re.compile(
    r"""(?x)
    \b(?:title|titles|titling|headings?|headline|names?\ (?:this|conversations|the|it|chat)|naming|session\ name|chat\ name|a\ (?:descriptive\ )?name
      |summar(?:y|ies|ize|ise|izes|izing|ising|ization|izer)|compact(?:ion)?|compress\w*|condens\w+|distill?|checkpoint|handoff
      |tags?|labels?|topics?|classif\w+|emoji|facial\ expression|follow-?\ ?ups?|next\ (?:message|speaker|replies)|could\ send\ next|replies\ that|useful\ messages
      |search\ quer(?:y|ies)|standalone|self-contained|autocomplet\w+|rephrase|memor(?:y|ies)\ (?:extract\w*|curator|consolidat\w+|selection|agent|subagent|system|of)
      |managed\ memory|memory\ (?:extractor|curator)|extract\w*|extractor|organi[sz]er\b[^.]{0,40}facts|synthesi[sz]e|combine\ these\ responses|a\ judge|rate\ the\ user|decide\ (?:if|whether)|detect\ if|commit\ messages?
      |continuing\ our\ conversation)\b
    | \b(?:titel\w*|zusammenfass\w*|fass\w*\ [^.]{0,60}zusammen|folgefragen|suchanfrage|titres?|titre|résum\w+|títulos?|resum\w+|titolo|riassum\w+)\b
    | (?:标题|主题|摘要|总结|压缩|后续问题|タイトル|要約|название|заголовок|제목|요약)
    """
)
# Of what.
CONVERSATION = re.compile(
    r"(?x)\b(?:conversations?|chats?|sessions?|threads?|dialogues?|discussion|transcripts?|histor(?:y|ies)|messages?|context\ (?:window|checkpoint)"
    r"|earlier\ context|out\ of\ context|responses|memor(?:y|ies)|follow\ up\ question|question|diff"
    r"|unterhaltung\w*|gespräch\w*|conversación|conversazione|échange|беседы|беседе|диалога|numérique)\b|对话|聊天|会话|這句話|这句话|会話|대화"
)
# A person gives no such form to an answer that is only for them.
FORM = re.compile(
    r"""(?x)
    \b(?:only|nothing\ else|nothing\ but|no\ other\ text|no\ (?:explanation|quotes|quotation|punctuation|preamble|markdown)|without\ (?:quotes|explanation|any)|do\ not\ (?:answer|use|include|call|mention|respond|continue)
      |just\ reformulate|one\ word|one-line|output:|return\ (?:only|json|plain|nothing|add)|json|(?:max(?:imum|\.)?|at\ most|under|less\ than|or\ less|up\ to)\ (?:of\ )?\d+|\d+\ ?(?:-|to)\ ?\d+[\ -]words?|\d+\ (?:words|characters)
      |\w+-word-or-less|words\ in\ length|(?:use|follow)\ [^.\n]{0,30}(?:structure|format|headings|sections)|given\ structure|concise|brief\w*|short\ (?:title|heading|summary)|high-quality|of\ high\ quality
      |nur|ausschließlich|uniquement|seulement|solo|solamente|soltanto|только)\b
    | \bin\ <\w+>\ tags | (?:只|仅|不要解释|不超过|控制在|のみ|だけ)
    """
)
# The person is "the user", the reader a model.
MACHINE = re.compile(
    r"""(?x)
    \b(?:the|a|each|of)\ (?:latest\ |last\ )?(?:user|human|speaker)(?:['’]s|s)?\b | \buser['’]s\b | \busers\ of\b
    | \b(?:sub-?agent|(?:another|next|coding|other)\ (?:coding\ )?(?:agent|llm|model|instance)|various\ models|several\ models|large\ language\ model|ai\ (?:assistant|model)|the\ (?:assistant|models?|ai)|context\ window|component\ that|prompt\ for|as\ a\ prompt)\b
    | \b(?:des\ nutzers|ki-modell|modell|l['’]utilisateur|del\ usuario)\b | prompt|提示|用户|助手|模型
    """
)
# An order to a machine begins like this.
VOICE = re.compile(
    r"""(?x)
    (?:\#+\ *\**(?:task|role|instructions?|objective|goal)\b | <(?:role|task|instructions|objective|primary_objective)>
    | you(?:\ are|['’]re|\ will\ be|\ will|\ have\ been|\ maintain|\ condense|\ compress|\ label|\ name|\ write|\ suggest|\ manage|\ extract|\ summari[sz]e|\ generate|\ detect)\b
    | your\ (?:\w+\ )?(?:task|job|goal|objective|role)\b | given\ (?:the|a)\b | based\ on\ the\ (?:messages|chat|conversation)
    | the\ current\ conversation | progressively | analy[sz]e\ \*only | query:\ history | first,\ reason
    | \*?(?:generate|create|provide|write|summari[sz]e|extract|produce|detect|analy[sz]e|briefly|distill|read|classify|decide|rate|rewrite|suggest|pick|predict)\*?\b
    | please\ (?:generate|provide|write)\ an?\b
    | du\ (?:bist\ ein|vergibst|fasst|erstellst)\b | erzeuge|erstelle|formuliere|fasse | tu\ (?:génères|es)\b | génère | genera|eres\b | 你(?:是|负责) | 使用|请(?:为|根据) | あなたは|以下の | ты\ )
    """
)
# The conversation comes along: in elements, beneath a label, or line by line with its speakers.
ENCLOSED = re.compile(
    r"""(?x)
    <(conversation|chat_?history|chat|session|messages?|transcript|dialogue|dialog|thread|history|verlauf|gespraech|text)\b[^>]{0,80}>
    | ^[^\w\n]{0,20}(?:chat|conversation)?[^\S\n]{0,3}(?:history|conversation|transcript|new\ messages|new\ lines\ of\ conversation|session|verlauf|responses?(?:\ from\ models)?|data)[^\S\n]{0,3}:?[^\S\n]{0,9}$
    | ^[^\w\n]{0,20}(?:user|human|usuario|utilisateur|nutzer|用户|ユーザー)\W{0,3}[:：] | ^[^\w\n]{0,20}response\ a\b | :\n\n(?=\S)
    """,
    re.MULTILINE,
)
# Orders that hold only now and then: "summarize when asked".
CONDITION = re.compile(
    r"\b(?:when|if|whenever|once|asked|asks|at the end of|automatically|later|elsewhere|before you|for articles|wenn)\b(?! (?:the user's message|needed|any|there))"
)
# The one field of a client's own small result.
TEXT_RESULT = re.compile(
    r'"(?:title|name|tags?|topics?|summary|follow_ups?|questions?|queries|emoji|is_?new_?topic|memor\w+|facts)"'
)
IS_SUBAGENT = re.compile(r"is_subagent=(?:true|1)\b")
