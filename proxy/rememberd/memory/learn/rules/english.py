"""What people say about themselves in English. One row a shape, tried in order; the first that matches a clause wins.

`(?-i:…)` marks what must be capitalised. A row's slot is a single-valued attribute, or None; "favourite_{of}" takes
the word that the row's group `of` found.
"""

# ruff: noqa: E501  a row of the table stays on its line

from __future__ import annotations

import re
from typing import NamedTuple


class Row(NamedTuple):
    slot: str | None
    pattern: re.Pattern[str]


def row(slot: str | None, pattern: str) -> Row:
    """A row whose pattern matches from the start of a clause, case-insensitively, spaces in it standing for themselves."""
    return Row(slot, re.compile(pattern.replace("\n", ""), re.IGNORECASE))


CAP = r"(?-i:[A-ZÀ-ÖØ-ÞĀ-ŽА-Я][\w'’.&-]*)"
_NAME = rf"{CAP}(?: {CAP}){{0,3}}"
_IM = r"(?:i['’]?m|i am)"
_IVE = r"(?:i['’]ve|i have)"
_WE = r"(?:i|we)"
_ADVERBS = r"(?:(?:really|absolutely|also|still|just|truly|always|mostly|generally|usually|personally|now|so|very|recently|finally|currently|actually|both) )*"
_NOT_THAT = r"(?!(?:it|its|me|this|that|that['’]s|these|those|you|your|him|her|them|there|here|how|what|when|where|why|one)\b)"
# A word before a noun that belongs to it: "two very old cats", but not "a question about cats".
_ADJECTIVE = r"(?:(?!(?:of|with|about|for|from|in|on|to|at|if|that|which|who|not|too|terrible|bad|good|great|slow|fast|quick|lousy|born|fake)\b)[\w-]+ )"
_NOT_A_CHOICE = (
    rf"(?!number \w+$|(?-i:[A-Z]|\d+)\b(?!['’])|(?:the|your|our) (?!{CAP}|(?:sea|ocean|mountains?|outdoors|beach|snow|rain|cold|heat|countryside"
    r"|(?:smell|taste|sound) of (?!that|this|it)|colou?r|piano|cello|violin|theatre|opera|cinema|gym|office|city|desert|forest)\b)"
    r"|(?:an?|my) (?:first|second|third|last|latter|former|other|idea|way|new|current|previous|style|look"
    r"|sound|approach|answer|version|code|option|tone|design|layout|result|output|draft|suggestion)\b"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|.* (?:better|(?<!any )more|best|instead|that|this|it)$)"
)
_OF_THESE = (
    r"(?:parts?|one|things?|bit|options?|suggestions?|answers?|lines?|version|so|of|ideas?|examples?|moment|scene)\b"
)
_NATIVE = r"(?:native|first|mother)"

FAMILY = (
    r"(?:(?:older|younger|elder|little|big|twin|late|step|ex|eldest|oldest|youngest|two|three|old|new|baby)[ -])*"
    r"(?:(?:grand|step|great-grand)?(?:mother|mom|mum|father|dad|parents?|son|sons|daughters?|child|children|kids?|ma|pa)"
    r"|mama|papa|sisters?|brothers?|siblings?|twins?|wife|husband|partner|spouse|girlfriend|boyfriend|fianc[eé]e?|baby"
    r"|uncle|aunt|auntie|cousins?|nieces?|nephews?|mother-in-law|father-in-law|family"
    r"|dogs?|cats?|pupp(?:y|ies)|kittens?|horse|pony|rabbits?|parrot|hamster|guinea pigs?|budgie|tortoise|pets?)"
)
# What `is` may say of a relative: who and how they are, not what they are at just now.
_LASTING = (
    rf"(?:(?:also|now|both|almost|nearly|only|already|strictly|very) )*(?:(?:\d|{CAP})|(?:called|named|from|into|afraid|scared"
    r"|obsessed|allergic|intolerant|lactose|gluten|diabetic|coeliac|celiac|asthmatic|dyslexic|autistic|deaf|(?:colou?r[- ]?)?blind|pregnant"
    r"|epileptic|vegan|vegetarian|pescatarian|left-handed|on the (?:autism )?spectrum|married|divorced|retired|dead|born|diagnosed|(?:a )?twins?"
    r"|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|getting married|living|studying|turning|expecting"
    r"|learning|starting|moving|graduating|retiring|working (?:as|at|for|in))\b"
    r"|an? (?:[\w-]+ ){0,2}?(?P<occupation>[\w-]+)(?=,|$| (?:at|in|for|from|with|who|and)\b))"
)
# What follows a thing that is owned; before another noun ("a house plant") it is none.
_ENDS = (
    r"(?=$|[,(:]|\.(?!\w)| (?:and|or|but|so|who|that|which|where|with|without|from|in|at|on|near|behind|next|type|for|since|of|now|called|named"
    r"|aged|under|over|because|together|as|about|already|too|each|by|both|last|yesterday|any ?more)\b)"
)
_ALLERGENS = (
    r"(?:\w*nuts?|almonds?|cashews?|eggs?|milk|dairy|lactose|gluten|wheat|soya?|shellfish|shrimps?|prawns?|crab|fish|seafood|sesame"
    r"|mustard|celery|lupin|\w*berr(?:y|ies)|kiwis?|apples?|peach(?:es)?|bananas?|avocados?|tomato(?:es)?|mango(?:es)?|citrus|corn|garlic"
    r"|chocolate|pollen|grass|birch|ragweed|dust|mites|mou?ld|cats?|dogs?|horses?|animals?|fur|feathers?|bees?|wasps?|insects?|stings"
    r"|\w+cillin|antibiotics|aspirin|ibuprofen|sulfa|codeine|morphine|latex|nickel|perfumes?|fragrances?|wool|pineapple|yeast|sulfites?)\b"
)
_DISEASES = (
    r"(?:diabetes|asthma|epilepsy|adhd|autism|migraines?|arthritis|celiac|coeliac|eczema|psoriasis|ibs|crohn['’]?s"
    r"|hypertension|high blood pressure|anxiety|depression|bipolar|ptsd|ocd|anemia|anaemia|endometriosis|dyslexia|tinnitus"
    r"|insomnia|cancer|lupus|(?-i:ADD|MS)|parkinson['’]?s|hay fever|scoliosis|sciatica|pcos|gout|\w+ (?:allergy|allergies|intolerance"
    r"|disease|(?<!imposter )syndrome|disorder)|(?:heart|skin|thyroid|lung|kidney) condition|bad (?:knees?|back|eyesight)|(?:a )?pacemaker)"
    rf"{_ENDS}"
)
_TRAITS = (
    rf"(?:allergic to (?:\w+ ){{0,2}}?{_ALLERGENS}|intolerant to|lactose[- ]intolerant|gluten[- ]intolerant|diabetic|coeliac|celiac|asthmatic|dyslexic"
    r"|colou?r[- ]?blind|(?:deaf|blind)(?! (?:to|by|with|in (?!one|my|both|the (?:left|right))))|epileptic|pregnant|autistic|bipolar|left[- ]handed|an[a]?emic|hard of hearing|in remission"
    r"|neurodivergent|near-?sighted|short-?sighted|on the (?:autism )?spectrum)"
)
_DIETS = r"(?:vegan|vegetarian|pescatarian|flexitarian|carnivore|halal|kosher|keto|plant-based|gluten[- ]free)"
_POSSESSIONS = (
    r"(?:dogs?|cats?|pupp(?:y|ies)|kittens?|horses?|rabbits?|parrots?|hamsters?|aquarium|chickens|goats|pets?|kids?|child"
    r"|children|sons?|daughters?|brothers?|sisters?|siblings?|twins?|baby|toddler|grandchild(?:ren)?|grandkids|wife|husband"
    r"|girlfriend|boyfriend|car|bike|bicycle|motorbike|motorcycle|scooter|boat|house|flat|apartment|cabin|cottage|garden"
    r"|balcony|allotment|piano|guitar|violin|cello|drum kit|degree|phd|doctorate|master['’]?s|diploma|macbook|mac|iphone|ipad"
    r"|android|playstation|xbox|garage|farm|green card|driving licen[cs]e|driver['’]s licen[cs]e|tattoos?|freckles|beard"
    r"|campervan|truck|van|(?:labrador|retriever|collie|poodle|beagle|greyhound|terrier|dachshund|husky|spaniel|corgi|bulldog)s?|camera|telescope|sewing machine|air ?fryer|tesla|mortgage)"
    rf"(?:{_ENDS}|(?= {CAP}))"
)
_LIFE_VERBS = (
    rf"(?:move|(?:visit|travel to|go to|fly to) (?:{CAP}|my {FAMILY}\b)|travel|run (?:a|the) (?:\w+ )?marathon|buy (?:an?|my|our) {_ADJECTIVE}{{0,2}}{_POSSESSIONS}"
    r"|marry|get married|propose|start (?:a (?:new job|business|company|family)|my own)|open (?:a|my)|study|learn|become|retire|adopt|apply (?:for|to)"
    r"|quit|write (?:a|my) (?:novel|book|memoir|thesis)|climb|hike|train for|renovate|build (?:a|my|our) (?:house|boat|cabin|deck|shed)"
    r"|have a baby|lose (?:weight|\d+)|get better at|volunteer)\b"
)
_EVENT_VERBS = (
    r"(?:ran|visited|graduated|got (?:married|promoted|hired|fired|laid off|a (?:new )?job|a (?:dog|cat|puppy|kitten)|my)"
    r"|joined(?= (?-i:[A-Z])| an? (?:[\w+-]+ ){0,3}(?:group|club|gym|team|choir|band|program|programme|church|union)\b)|went (?:to|on) (?:an?|my first)|won|lost my job|broke (?:my|up)|became|retired|passed (?:my|the)|travell?ed|hiked|climbed|celebrated"
    r"|had (?:a baby|a daughter|a son|surgery|twins|an operation)|gave birth|published|tore|sprained|competed"
    r"|started (?:school|university|college|a (?:new )?(?:job|diet|business|hobby)|my (?:new )?(?:job|studies|degree|phd))|moved (?:in|out|back|house|abroad)|proposed|performed)"
)
_WHEN = (
    r"(?:last|yesterday|ago|this (?:week|month|year|spring|summer|autumn|fall|winter)|in (?:19|20)\d\d"
    r"|in (?:january|february|march|april|may|june|july|august|september|october|november|december)"
    r"|on (?:mon|tues|wednes|thurs|fri|satur|sun)day|my first|when i was)"
)
_FIELDS = (
    r"(?:(?:an?|the) (?:[\w-]+ )?(?:hospital|school|kindergarten|bank|lab|laboratory|library|museum|restaurant|kitchen|factory|warehouse|office|clinic"
    r"|pharmacy|hotel|shop|store|bakery|university|government|military|army|navy|industry|sector|public sector|start-?up|call cent(?:er|re))"
    r"|hr|it|marketing|sales|finance|retail|health ?care|education|hospitality|construction|logistics|procurement|tech|software|advertising|insurance"
    r"|banking|law|research|academia|consulting|publishing|media|film|television|tourism|agriculture|forestry|manufacturing|engineering"
    r"|design|security|accounting|operations|customer (?:service|support)|real estate|aviation|shipping|biotech|pharma|politics|theat(?:er|re))\b"
)
_HABIT = (
    r"(?:every (?:day|morning|evening|night|week|weekend|month|year|summer|winter|\w+day)|on \w+days|on weekends|daily|weekly"
    r"|twice a|once a|times a|most (?:days|mornings|weekends))\b"
)
_TOOLS = (
    r"(?:emacs|neovim|n?vim|vs ?code|intellij|pycharm|sublime|obsidian|notion|linux|ubuntu|debian|fedora|arch|nixos|windows"
    r"|macos|a mac|android|ios|an iphone|firefox|chrome|fish|zsh|tmux|excel|photoshop|lightroom|figma|blender|ableton|todoist)\b"
)
_SOFTWARE = (
    rf"(?:{_TOOLS}|(?:vs ?code|python|rust|go|java\w*|type\w*|node|react|vue|angular|svelte|django|rails|postgres\w*|mysql|mongo\w*|redis|kafka"
    r"|kubernetes|docker|helm|terraform|aws|azure|gcp|github|gitlab|git|jira|linear|slack|teams|zoom|confluence|airflow|spark|snowflake"
    r"|salesforce|hubspot|shopify|wordpress|webflow|gmail|outlook|google|microsoft|office|dropbox|signal|whatsapp|mastodon|bluesky"
    r"|plan|phase|step|chapter|part|level|page|section|option|\w+day)\b)"
)
TECHNICAL = re.compile(
    r"\b(?:servers?|tests?|commands?|scripts?|codebase|code|builds?|docker|errors?|bugs?|pip|npm|query|queries|functions?"
    r"|methods?|class(?:es)?|models?|files?|containers?|variables?|loops?|arrays?|lists?|tables?|databases?|branch|commit|base64|data|logs?|json|html"
    r"|deploy\w*|config\w*|api|endpoint|page|button|app|website|repo\w*|package|module|dataset|prompts?|chatgpt|paragraph"
    r"|ticket|confirmation|example|following|monorepo|terminal|nodes?|attributes?|options?|process(?:es)?|components?|threads?)\b",
    re.IGNORECASE,
)
# Said to the assistant or of the hour; a statement without a slot that has one of these is not kept.
PASSING = re.compile(
    r"\b(?:you|your|yours|today|tonight|this(?! (?:week|month|year|spring|summer|autumn|fall|winter)\b)|these|those|so far|too (?:long|much|many|late|early|often)|figuratively|in (?:\w+ )?(?:minutes?|mins?|hours?)|again)\b",
    re.IGNORECASE,
)
# A clause with one of these wavers, or describes a passing state.
HEDGED = re.compile(
    r"\b(?:would|could|might|should|(?-i:may)|i['’]d|we['’]d|going to try|trying to|right now|at the moment|for now|one second|here)\b",
    re.IGNORECASE,
)

# fmt: off
ROWS: tuple[Row, ...] = (
    # who
    row("name", rf"(?:my (?:full |first |real |given )?|the )?name(?: is|['’]s)(?: now)? (?P<name>{_NAME}|(?!undefined|null|not|on|in|a|the|what)[a-z]+(?: [a-z]+)?$)"),
    row("name", rf"(?:please )?call me {_NAME}(?=,|$)"),
    row("name", rf"{_IM} (?P<name>{_NAME})(?=,|$| and\b| from\b| \()"),
    row("surname", r"my (?:surname|last name|family name) (?:is|['’]s) "),
    row("pronouns", r"my pronouns are \S+|i (?:use|go by) \w+/\w+"),
    row("age", rf"{_IM} (?:now )?\d{{1,3}}(?: years? old| yo| y/o)?(?: now| already)?(?=,|$)|i(?: just| recently)? turned \d{{1,3}}\b(?! off| on)"),
    row("birthday", r"my birthday(?: is|['’]s) (?=.*(?:\d|january|february|march|april|may|june|july|august|september|october|november|december|today|tomorrow))|i was born (?:on|in) (?=.*\d)"),
    row("{of}", r"my (?P<of>blood type|shoe size|dress size|ring size|height|weight|star sign|zodiac sign|t-shirt size|time ?zone) (?:is|['’]s) "),
    row(None, rf"{_IM} \d[\d.,']* ?(?:m|cm|ft|feet|kg)\b"),
    row("birthplace", rf"i was born in {CAP}"),
    row("phone", r"my (?:phone|mobile|cell)(?: phone)?(?: number)?(?: is|['’]s|:) [+(\d]"),
    row("email", r"my (?:personal |private |work )?e-?mail(?: address)?(?: is|['’]s|:) \S+@"),
    row("address", r"my (?:home )?address(?: is|['’]s|:) (?=.*\d)"),
    row(None, r"my (?:twitter|github|discord|instagram|mastodon|bluesky|steam|telegram)(?: handle| username| account| name)?(?: is|['’]s) "),
    # where
    row("home", rf"{_WE} (?:no longer|don['’]?t|do not) live in .+"),
    row("home", rf"{_WE} {_ADVERBS}(?:live|reside|rent a \w+|own a (?:house|flat|home)) (?!and |for |by |alone|with )(?:\w+ ){{0,3}}?(?:(?:in|at|near|outside|between) |on (?={CAP}|an? |the )){_NOT_THAT}(?!fear|peace|hope|denial|memory|harmony|style|luxury|sin|my\b|(?:the|a) (?:world|moment|past|dream|bubble|edge|budget)|constant|which)"),
    row(None, r"i live (?:alone\b|with (?:my|our)\b|with (?:a|an|two|three|four|five) (?:\w+ )?(?:roommates?|flatmates?|housemates?|friends?|cats?|dogs?|people)\b)"),
    row("home", r"we are (?:an? )?[\w ]{0,20} living in "),
    row("home", rf"(?:{_IVE}|we['’]ve|we have) (?:lived|been living) (?:in|near) {_NOT_THAT}"),
    row("home", rf"(?:{_IM}|we['’]re|we are) {_ADVERBS}(?:based|living|located|settled) (?:in|near|out of|outside) {_NOT_THAT}"),
    row("home", rf"(?:{_WE}|{_IVE}|we['’]ve) {_ADVERBS}(?:have )?moved (?:from .{{2,30}} )?(?:back )?to (?!{_SOFTWARE})(?:the (?:uk|us|usa|netherlands|city|countryside|coast)\b|a |an |{CAP})"),
    row("origin", rf"{_IM} {_ADVERBS}(?:originally )?from {CAP}|my home ?town is {CAP}"),
    row(None, r"i grew up (?:in|on|near|with|speaking) "),
    # work
    row("employer", rf"{_IM} no longer (?:at|with|employed (?:at|by)) {CAP}|i (?:no longer|don['’]?t|do not|stopped) work(?:ing)? (?:at|for) .+"),
    row(
        "employer", r"i(?: just| recently| finally)? (?:quit|left|resigned from|lost) my (?:old )?job (?:at|with) .+"
    ),
    row(
        "employer", rf"i(?: just| recently)? (?:resigned from|(?:was|got) (?:fired|laid off) (?:from|by)) {CAP}"
    ),
    row("employer", rf"i {_ADVERBS}(?:work|am employed|am working) (?:at|for) (?!night|home|the moment|weekends|a living|free|peanuts|now|me\b|hours|people|kids|children)(?:{CAP}|(?:a|an|the|my) ){_NOT_THAT}"),
    row("employer", rf"i(?: have)? {_ADVERBS}(?:start|started|got|took|accepted|landed|have)(?: working| (?:a|my)(?: new)? (?:job|position|role)) (?:at|with) (?:{CAP}|an? )"),
    row("employer", rf"(?P<new_job>(?:{_IM} {_ADVERBS}(?:at|with)|i {_ADVERBS}joined) {CAP})|{_IM} {_ADVERBS}(?:working|employed) (?:at|for|by) (?:{CAP}|(?:a|an|the) )"),
    row("employer", rf"{_IVE} (?:been working|worked) (?:at|for) (?:{CAP}|an? |the )(?=.* (?:for|since) )"),
    row("employer", rf"my (?:new |current )?employer is {CAP}"),
    row("job", rf"{_IM} (?:now |currently )?(?:retired|unemployed|self-employed|between jobs|on parental leave)(?=,|$| and\b| since\b)"),
    row("job", r"i (?:now )?work as (?:a|an|the) |my (?:job|profession|occupation) is (?:a |an |to )|i['’]?m .{3,30} by (?:profession|trade|training)"),
    row("job", rf"{_IM} {_ADVERBS}(?:an?|the(?=.* (?:of|at|for) )) {_ADJECTIVE}{{0,3}}?(?P<occupation>[\w-]+)(?=,|$| (?:at|in|for|from|with|who|by|living|based|working|now|and|of|on)\b)(?! of (?:life|the world)| at heart| in (?:training wheels|my head))"),
    row(None, rf"{_WE} (?:own|run|own and run) (?:an?|my own|our own) (?:[\w-]+ ){{0,3}}(?:business|studio|\w*shop|store|company|caf[eé]|restaurant|farm|bakery|vineyard|blog|podcast|agency|salon|gym|charity|bar|hotel)"),
    row("job", rf"i {_ADVERBS}work (?:nights|part[- ]time|full[- ]time|night shifts|shifts|weekends) as an? {_ADJECTIVE}{{0,2}}?(?P<occupation>[\w-]+)\b"),
    row(None, rf"i {_ADVERBS}work (?:from home|remotely|nights|part[- ]time|full[- ]time|night shifts|shifts|weekends|in {_FIELDS})(?! as\b)"),
    row(None, r"i (?:sing (?:soprano|alto|tenor|bass|in a)|teach|coach|volunteer|study|majored in|major in|studied) (?!this|that|it|the (?:code|docs))"),
    row(None, rf"{_IM} (?:studying|majoring in|doing (?:a|my) (?:phd|master['’]?s|degree|bachelor['’]?s)) ?(?!this|that|it|the (?:code|docs))"),
    row("school", r"i (?:go to|attend|am at|['’]m at) (?=.*\b(?:school|university|college|academy)\b)"),
    row(None, r"i (?:graduated|dropped out|got my degree|did my (?:phd|master['’]?s|degree|bachelor['’]?s)) |i['’]?m in my (?:\w+ )year (?:of|at) |i went to (?=.*\b(?:school|university|college)\b)"),
    # people and animals
    row("partner", rf"my (?:wife|husband|partner|girlfriend|boyfriend|spouse|fianc[eé]e?)(?:['’]s name)?(?: is|['’]s)(?: called| named)? (?P<name>{CAP})"),
    row("relationship", rf"{_IM} (?:happily |newly |recently |now |not |no longer )*(?:married|single|divorced|engaged(?! in\b| with\b)|widowed|separated|a widow(?:er)?)(?=,|$| to (?=(?:an? )?(?!{_SOFTWARE}){CAP}|my (?:wife|husband|partner|best|high|ex))| with\b| and\b| for\b| since\b| now\b| again\b| any ?more\b)"),
    row("relationship", rf"{_WE} (?:just |recently |finally )*got (?:married|engaged|divorced|separated)\b"),
    row(None, rf"(?:my|our) {FAMILY},?(?: {_NAME},?)?(?: (?:is|are|was|were) {_LASTING}|['’]s (?:name|birthday) is | (?:has|have) (?!to\b|been|no |the |my |just |some |gone|eaten|lost|taken|an? (?:[\w-]+ )?(?:fever|cold|cough|headache|test|exam|meeting|question|problem|rash|flu|temperature|party|game|match|recital|appointment|point)\b)| (?:loves?|likes?|hates?|prefers?) {_NOT_THAT}{_NOT_A_CHOICE}| (?:lives?|works?|turned|turns|studies|study|plays?|divorced|separated|split up|died|passed away|speaks?|teaches|graduated|got (?:married|divorced|engaged|promoted)|owns?|moved to|retired|start(?:s|ed) (?:school|university|kindergarten|college)|goes to|attends?|just turned|can['’]?t eat|doesn['’]t (?:eat|like|drink)|suffers from|was born) )"),
    row(None, rf"{_IM} (?:a|an|the) (?:(?:single|proud|new|stay-at-home|expectant|working|foster) )*(?:dad|mom|mum|mother|father|parent|grand(?:mother|father|parent|ma|pa)|twin|only child|oldest|youngest)\b(?! of \w+ (?!girls?|boys?|kids?|child|sons?|daughters?|twins?|teen|toddler|and|who|with|in|from|aged|little|small|young|lovely|adult|grown)\w)"),
    # health and diet
    row("diet", rf"{_IM} (?:now |also |a |an |not |no longer |strictly |mostly |strict |on a )*{_DIETS}(?: diet)?(?=,|$| and\b| now\b| since\b| any ?more\b| for\b| but\b)"),
    row("diet", rf"{_IVE} (?:been|gone|become|turned) (?:a |an )?{_DIETS}\b|i (?:went|became|stopped being|turned) (?:a |an )?{_DIETS}\b|i (?:only )?eat (?:only )?{_DIETS}\b"),
    row(None, rf"{_IM} (?:\w+ly |very |also |not |no longer )*{_TRAITS}\b"),
    row(None, rf"{_IVE} (?:also |got )?(?:(?:a|an|type \d|rheumatoid|mild|severe|chronic|bad|seasonal) )*{_DISEASES}"),
    row(None, rf"(?:i was|i got|{_IVE}|i['’]ve been|i have been) (?:just |recently |been )*diagnosed with |i suffer from "),
    row(None, r"(?:i take|i['’]?m on|i am on) (?!it\b|this|that|a (?:break|call|train|bus))[\w -]{3,40}?(?:for my|every (?:day|morning|evening|night)|daily|twice a day|once a day|medication|for (?:allergies|asthma|blood|anxiety|depression))"),
    row(None, r"i (?:don['’]?t|do not|can['’]?t|cannot|never) (?:(?:eat|drink)(?! (?:another|enough|more|before|after|when|while|until)\b)|smoke|have (?:dairy|gluten|nuts|sugar|alcohol|caffeine|lactose|milk|eggs)|tolerate|digest|(?:drive|swim)$)(?! (?:it|this|that|these|those)\b)"),
    row(None, r"i(?:['’]ve)?(?: just| recently| finally)? (?:quit|stopped|gave up|given up|started|reduced) (?:smoking|drinking|eating|alcohol|sugar|meat|coffee|caffeine|gluten|dairy)"),
    # likes
    row("favourite_{of}", rf"my (?:all[- ]time |absolute |new |current )?favou?rite (?!{_OF_THESE})(?P<of>\w+(?: \w+){{0,2}}?)(?: of all time)? (?:is|are|was|isn['’]t|has always been) (?!this|that|it|the (?:first|second|last)\b)"),
    row("favourite_{of}", rf"(?!(?:it|this|that|which|what|he|she)\b).{{2,40}} (?:is|are) my (?:all[- ]time |absolute )?favou?rite (?!{_OF_THESE})(?P<of>\w+)(?=$|,| of)"),
    row(None, rf"{_IVE} (?:always|never) (?:loved|liked|hated|enjoyed|been (?:a fan|afraid|scared) of) {_NOT_THAT}|i['’]ve been (?:playing|learning|studying|practi[cs]ing|collecting) (?=.*\b(?:for|since)\b)"),
    row(None, rf"(?!i just (?:love|like)\b){_WE} {_ADVERBS}(?:don['’]?t |do not |no longer |never )?{_ADVERBS}(?:love|like|enjoy|adore|hate|dislike|loathe|prefer|can['’]?t stand|cannot stand)d? (?!.*\b(?:this|these|those|it|them)\b)(?!to$){_NOT_THAT}{_NOT_A_CHOICE}(?!to (?:see|know|have|get|be|use|add|make|do|keep|ask|understand|hear|think|say|admit|bother|interrupt|break|disagree)\b)"),
    row(None, rf"{_IM} (?:not )?{_ADVERBS}(?:(?:a )?(?:big |huge |massive |lifelong )*(?:fan|lover) of|into|fond of|obsessed with|passionate about|crazy about|scared of|afraid of) {_NOT_THAT}{_NOT_A_CHOICE}"),
    # things and skills
    row(None, rf"(?:{_WE}|i['’]ve|we['’]ve) {_ADVERBS}(?:have |got |have got )*(?:(?:a|an|two|three|four|five|six|\d+|one|my|our|some|no|several) ){_ADJECTIVE}{{0,3}}?{_POSSESSIONS}"),
    row(None, rf"{_WE} (?:don['’]?t|do not|no longer) (?:have|own) (?:a|an|any|my|our|the) {_ADJECTIVE}{{0,2}}?{_POSSESSIONS}"),
    row(None, rf"{_WE} {_ADVERBS}(?:own|drive|ride) (?:(?:an?|two|three|four|my|the) )?{_ADJECTIVE}{{0,2}}?(?:{_POSSESSIONS}|{CAP})|{_WE} {_ADVERBS}(?:collect|breed) {_NOT_THAT}"),
    row(None, rf"(?:{_WE}|{_IVE}) {_ADVERBS}(?:bought|adopted|purchased|inherited|sold|rescued|leased) (?:a|an|my|our|two|some|the|his|her) {_ADJECTIVE}{{0,3}}?{_POSSESSIONS}"),
    row(None, r"my (?:car|bike|phone|laptop|computer|house|flat|apartment|boat|guitar|camera|motorbike|motorcycle|tablet|watch|keyboard|editor) is an? "),
    row("language", rf"my {_NATIVE} (?:language|tongue) is {CAP}|{_IM} a native {CAP} speaker"),
    row(None, rf"i {_ADVERBS}(?:can )?(?:speak|understand) (?:\w+ ){{0,2}}?{CAP}|{_IM} (?:fluent in {CAP}|bilingual)|i (?:mostly |mainly )?(?:write|code in|program in) (?-i:[A-Z]\w+)(?: (?:at|for) \w+)?$"),
    row(None, rf"i {_ADVERBS}(?:can )?play (?!(?:the |a )?(?:role|game|video|sound|audio|file|song|clip)\b|with|around|it\b|this|that)\w"),
    row(None, rf"{_IM} (?:a|an) (?:[\w-]+ )?member of |{_IM} (?:(?:an? )?(?:practi[cs]ing )?(?:religious|catholic|muslim|jewish|hindu|buddhist|christian|atheist|agnostic))(?=,|$| (?:and|but|married|by|from)\b)"),
    row(None, rf"i (?:mostly |mainly |always |only |usually |still )*(?:use|run|code in|write in) (?:{_TOOLS}|{CAP}.{{0,30}} (?:for everything|every day|daily|at work|for work|as my)\b)"),
    row(None, rf"{_IM} on (?:windows|mac|macos|linux|ubuntu|android|ios)\b"),
    # plans and what happened
    row(None, rf"(?:{_IM}|we['’]re|we are) (?:planning|hoping|about|going) to {_LIFE_VERBS}|{_WE} (?:plan|intend|hope) to {_LIFE_VERBS}"),
    row(None, rf"i(?: really)? want to (?:learn {CAP}|become an? |retire |move to {CAP}|get married|run a (?:half[- ])?marathon|lose (?:weight|\d)|open a |start (?:my own|a (?:business|company|family))|write (?:a|my) (?:novel|book|memoir))"),
    row("{of}", r"(?:my|our) (?P<of>(?:[\w-]+ ){0,2}?(?:code ?word|code ?name|safe word|lucky number|nickname|licen[cs]e plate|number plate|anniversary|hobby)) (?:is|['’]s) (?!not\b|wrong|missing|undefined)"),
    row(None, rf"my (?:go-to|usual) [\w ]{{2,30}}? (?:is|are) {_NOT_THAT}|i wear (?:a )?size |my (?:wedding|due date) (?:is|will be) |the name of my {FAMILY} is {CAP}"),
    row(None, rf"(?:(?:next|in|on) \w+,? )?(?:i have|i['’]ve got) (?:a|an|my) (?:job interview|wedding|exam|surgery|operation|flight|appointment) |(?:next|in|on) \w+,? (?:{_IM}|we['’]re|we are) (?:starting|moving|flying|getting married|travell?ing|going to)"),
    row(None, r"my (?:long-term |main |big )?(?:goal|dream|resolution|ambition|aim)(?: for \w+(?: \w+)?)? is "),
    row(None, rf"(?:{_IM}|we['’]re|we are) (?:saving (?:up )?(?:for|to)|training for|getting married(?! to the)|expecting (?:our|my|twins|a (?:baby|child|boy|girl|son|daughter))|having a baby{_ENDS}|learning (?!that|how|about (?:this|that)|the (?:code|api))|(?:moving|flying|travell?ing|going) to {CAP}|visiting {CAP}|starting (?:a new job|school|university|college)|writing (?:a|my) (?:novel|book|thesis|dissertation|memoir))"),
    row(None, rf"(?:(?:last|this|in|on|yesterday)[\w ]{{0,20}},? )?{_WE} (?:just |recently |finally |once )*{_EVENT_VERBS}\b(?! this| that| it| through)(?=.* {_WHEN}\b)"),
    row(None, rf"(?:last|yesterday|in|on)[\w ]{{0,20}},? {_WE} (?:just |recently |finally )*{_EVENT_VERBS}\b"),
    row(None, r"i always (?:fly|travel|order|drink|wear) (?!(?:it|this|that)\b)"),
    row(None, rf"i {_ADVERBS}(?:wake up|get up|go to bed|go to the gym|run|swim|cycle|meditate|do yoga|cook|bake|hike|climb|ski|surf|paint|garden|knit|read)\b(?! (?:into|out|that|about|through|over|up against)\b|.* that\b)(?=.* {_HABIT})"),
)
# fmt: on
