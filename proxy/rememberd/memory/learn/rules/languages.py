"""What people say about themselves in some other languages: few shapes, each of them plain. The rest stays in the episode."""
# ruff: noqa: E501  a row of the table stays on its line

from __future__ import annotations

from rememberd.memory.learn.rules.english import CAP, Row, row

_FAMILY = {
    "de": r"(?:mein|unser)e? (?:hund|katze|frau|mann|sohn|tochter|bruder|schwester|mutter|vater|partner(?:in)?|oma|opa)",
    "fr": r"(?:mon|ma) (?:chien|chienne|chat|chatte|femme|mari|fils|fille|frère|sœur|soeur|mère|père|copain|copine)",
    "es": r"mi (?:perr[oa]|gat[oa]|espos[oa]|marido|mujer|hij[oa]|herman[oa]|madre|padre|novi[oa])",
    "no, da, sv": r"(?:min|mitt) (?:hund|katt|kat|kone|mand|mann|fru|man|sønn|søn|son|datter|dotter|bror|søster|syster|mor|far|mamma|pappa|samboer|sambo)",
    "no after": r"(?:hunden|katten|katta|kona|mannen|sønnen|dattera|datteren|broren|søstera|søsteren|samboeren) min",
    "it": r"(?:il mio|la mia|mio|mia) (?:cane|gatto|gatta|moglie|marito|figlio|figlia|fratello|sorella|madre|padre)",
    "pt": r"(?:o meu|a minha|meu|minha) (?:cão|cachorro|cachorra|gato|gata|esposa|marido|filho|filha|irmão|irmã|mãe|pai)",
    "nl": r"mijn (?:hond|kat|vrouw|man|zoon|dochter|broer|zus|moeder|vader)",
}

# fmt: off
ROWS: tuple[Row, ...] = (
    # German
    row("name", rf"(?:ich hei(?:ß|ss)e|mein name ist) {CAP}"),
    row("home", r"ich (?:wohne|lebe) (?:jetzt |seit [\w ]{1,20} )?(?:in|bei|nahe|auf|an) |ich bin (?:von \w+ )?nach \w+ (?:um)?gezogen"),
    row("employer", rf"ich arbeite (?:jetzt |seit \w+ )?(?:bei|für) (?:der |dem )?{CAP}"),
    row("job", r"ich arbeite als |ich bin [\w-]+ von beruf"),
    row("job", r"ich bin (?:lehrer|student|ingenieur|erzieher|pfleger|krankenpfleger|entwickler|designer|rentner|mechaniker|architekt|journalist|bäcker)(?:in)?\b|ich bin (?:arzt|ärztin|krankenschwester|anwalt|anwältin|koch|köchin)\b"),
    row("age", r"ich bin (?:jetzt )?\d{1,3}(?: jahre alt)?$"),
    row("birthday", r"ich habe am .+ geburtstag|ich wurde (?:am|im) .+ geboren|mein geburtstag ist "),
    row("diet", r"ich bin (?:jetzt |strikt )?(?:vegetarier(?:in)?|veganer(?:in)?|vegan|vegetarisch)\b"),
    row(None, r"ich bin allergisch (?:gegen|auf) |ich habe (?:eine )?(?:\w+allergie|diabetes|asthma)\b|ich vertrage kein"),
    row(
        None, r"ich (?:esse|trinke) kein\w* |ich (?:mag|liebe|hasse) (?:kein\w* )?(?!es\b|das\b|dich|diese|wenn|wie)"
    ),
    row("favourite_{of}", r"mein(?:e)? lieblings(?P<of>\w+) (?:ist|sind) "),
    row(None, rf"{_FAMILY['de']} (?:{CAP} )?(?:heißt|heisst|lebt|wohnt|arbeitet|ist (?:{CAP}|\d|allergisch|vegan|vegetarisch)) ?"),
    # French
    row("name", rf"(?:je m['’]appelle|mon nom est|mon prénom est) {CAP}"),
    row("home", rf"(?:j['’]habite|je vis) (?:maintenant |actuellement )?(?:à|a|en|au|aux|dans|près) |j['’]habite {CAP}|j['’]ai déménagé (?:à|en|au) "),
    row("employer", rf"je travaille (?:chez|pour|à) {CAP}"),
    row("job", r"je travaille comme |je suis \w+ de métier"),
    row("job", r"je suis (?:infirmi(?:er|ère)|prof(?:esseure?)?|étudiante?|avocate?|ingénieure?|médecin|développeu(?:r|se)|enseignante?|graphiste|comptable|architecte|cuisini(?:er|ère)|retraitée?|journaliste)\b"),
    row("age", r"j['’]ai (?:maintenant )?\d{1,3} ans\b"),
    row("diet", r"je suis (?:devenue? )?(?:végétarien(?:ne)?|végane?|vegan|végétalien(?:ne)?)\b"),
    row(None, r"je suis allergique (?:à|au|aux) |je suis (?:diabétique|asthmatique|daltonien(?:ne)?|enceinte)\b"),
    row(None, r"j['’](?:aime|adore) (?:les |la |le |l['’])(?!idée)|je (?:déteste|préfère) (?:les |la |le |l['’])(?!idée|version|première|deuxième)|je n['’]aime pas (?:les |la |le |l['’])(?!idée)"),
    row("favourite_{of}", r"(?:mon|ma) (?P<of>\w+) préférée? est "),
    row(None, rf"{_FAMILY['fr']} (?:s['’]appelle|habite|travaille) "),
    # Spanish
    row("name", rf"(?:yo )?(?:me llamo|mi nombre es) {CAP}"),
    row("home", r"(?:yo )?(?:ahora )?vivo en (?!un mundo|paz)|me mudé (?:de \w+ )?a "),
    row("employer", rf"(?:yo )?trabajo (?:en|para) {CAP}"),
    row("job", r"(?:yo )?trabajo (?:como|de) "),
    row("job", r"(?:yo )?soy (?:profesora?|médic[oa]|enfermer[oa]|ingenier[oa]|abogad[oa]|estudiante|arquitect[oa]|diseñadora?|programadora?|jubilad[oa]|maestr[oa]|cociner[oa]|periodista)\b"),
    row("age", r"(?:yo )?tengo \d{1,3} años\b"),
    row("diet", r"(?:yo )?(?:soy|me hice) (?:vegan[oa]|vegetarian[oa])\b"),
    row(
        None, r"(?:yo )?soy (?:alérgic[oa] a|intolerante a|celíac[oa]|diabétic[oa]|asmátic[oa]|zurd[oa]|daltónic[oa])"
    ),
    row(None, r"(?:a mí )?(?:no )?me (?:gustan?|encantan?) (?:el |la |los |las )(?!idea|segunda|primera)|odio (?:el |la |los |las )"),
    row("favourite_{of}", r"mi (?P<of>\w+) (?:favorit[oa]|preferid[oa]) es "),
    row(None, rf"{_FAMILY['es']} (?:se llama|vive|trabaja|es alérgic[oa]) "),
    # Norwegian, Danish, Swedish
    row("name", rf"(?:(?:jeg|jag|eg) (?:heter|hedder)|(?:mitt|mit) (?:navn|namn) (?:er|är)) {CAP}"),
    row("home", r"(?:jeg|jag|eg|vi) bor (?:nå |nu )?(?:i|på|ved|vid|utenfor|nær|nära) |(?:jeg|jag) (?:har )?(?:flyttet|flyttat|flyttade) (?:fra \w+ |från \w+ )?(?:til|till) "),
    row("employer", rf"(?:jeg|jag|eg) (?:jobber|arbeider|arbejder|jobbar|arbetar) (?:nå |nu )?(?:i|hos|på|for|för|ved|vid) {CAP}"),
    row("job", r"(?:jeg|jag|eg) (?:jobber|arbeider|arbejder|jobbar|arbetar) som "),
    row("job", r"(?:jeg|jag|eg) (?:er|är) (?:lærer|lärare|sykepleier|sjuksköterska|ingeniør|ingenjör|student|lege|läkare|snekker|tømrer|elektriker|utvikler|utvecklare|pensjonist)\b"),
    row("age", r"(?:jeg|jag|eg) (?:er|är) \d{1,3}(?: år)?(?: gammel| gammal)?$"),
    row("diet", r"(?:jeg|jag|eg) (?:er|är) (?:blitt |blivit )?(?:vegetarianer|veganer|vegan|vegetar|vegetarian)\b"),
    row(None, r"(?:jeg|jag|eg) (?:er|är) allergisk (?:mot|for|överfor|overfor) "),
    row(None, r"(?:jeg|jag) (?:liker|elsker|hater|gillar|älskar|hatar) (?!det|dette|den|at|att|deg|dig)"),
    row(None, rf"(?:{_FAMILY['no, da, sv']}|{_FAMILY['no after']}) (?:{CAP} )?(?:heter|hedder|bor|jobber|jobbar|(?:er|är) (?:{CAP}|\d|allergisk|veget\w+)) ?"),
    # Italian, Portuguese, Dutch
    row("name", rf"(?:mi chiamo|il mio nome è|(?:o )?meu nome é|me chamo|chamo-me|ik heet|mijn naam is) {CAP}"),
    row("home", r"(?:io )?(?:vivo|abito) (?:a|in|ad) |(?:eu )?(?:moro|vivo) (?:em|no|na) |ik woon (?:nu )?(?:in|bij|op) "),
    row("employer", rf"(?:lavoro (?:per|da|in|alla)|trabalho (?:na|no|em|para)|ik werk (?:bij|voor)) {CAP}"),
    row("age", r"ho \d{1,3} anni\b|tenho \d{1,3} anos\b|ik ben \d{1,3}(?: jaar(?: oud)?)?$"),
    row("diet", r"sono (?:vegan[oa]|vegetarian[oa])\b|sou (?:vegan[oa]|vegetarian[oa])\b|ik ben (?:vegetari[eë]r|veganist|vegetarisch)\b"),
    row(None, r"sono allergic[oa] a|sou alérgic[oa] a|ik ben allergisch voor "),
    row(None, rf"(?:{_FAMILY['it']} si chiama|{_FAMILY['pt']} (?:se )?chama(?:-se)?|{_FAMILY['nl']} heet) "),
    # Polish, Russian, Chinese, Japanese
    row("name", rf"(?:mam na imię|nazywam się|меня зовут) {CAP}|我(?:叫|的名字(?:是|叫))(?!什么|做)\S{{2,4}}$|(?:私の)?名前は\S{{1,12}}です"),
    row("home", r"mieszkam (?:w|we|na) |(?:я )?живу в |我(?:现在)?住在(?!哪)\S{2,20}$|(?:私は)?\S{2,12}に住んで(?:います|いる)"),
    row("employer", rf"pracuję w {CAP}|(?:я )?работаю в {CAP}"),
    row("age", r"mam \d{1,3} lata?\b|мне \d{1,3} (?:лет|год|года)\b|我(?:今年)?\d{1,3}岁|\d{1,3}歳です"),
    row(None, r"у меня аллергия на |mam alergię na |我对\S{1,12}过敏"),
)
# fmt: on
