"""A sentence such as "I have not left Acme" ends nothing: only the same words without the "not" close a fact."""

# ruff: noqa: E501  a table of cases stays short

from __future__ import annotations

from itertools import cycle

from tests.memory.test_a_fact_is_over_for_a_reason import current

# What fills {x}; a fact; how it ends; how that is denied.
FORMS = [
    ("badminton/the harmonica", "I play {x}.", "I've stopped playing {x}./I gave up {x} in spring./I've quit {x}.",
     "I haven't stopped playing {x}./no i haven't stopped {x}, just tell me what shoes to buy/I haven't given up {x}./I didn't quit {x}./I never stopped {x}./I'm not giving up {x}."),
    ("box/fish", "I {x} on Fridays.", "I've stopped {x}ing./I've given up {x}ing.", "I haven't stopped {x}ing./I haven't given up {x}ing yet./I never quit {x}ing./I'm not going to quit {x}ing."),
    ("kayak/tractor", "I own a {x}.", "I've sold the {x}./We got rid of the {x}.", "I haven't sold the {x}./We didn't get rid of the {x}./No, I'm not selling the {x}, how do I clean it?"),
    ("Globex/Maersk", "I work at {x}.", "I've left {x}./I resigned from {x} last week.", "I haven't left {x}./I didn't resign from {x}./No, I'm not leaving {x}./{x} didn't sack me."),
    ("sertraline/ramipril", "I take {x}.", "I've come off {x}./The doctor took me off {x}.", "I haven't come off {x}./The doctor hasn't taken me off {x}./I haven't stopped taking {x}."),
    ("Stellan/Deepa", "I'm with {x}.", "{x} and I have split up./I broke up with {x}.", "{x} and I haven't split up./I didn't break up with {x}./{x} hasn't left me."),
    ("Tennis/Geige", "Ich spiele {x}.", "Mit {x} habe ich aufgehört./{x} habe ich aufgegeben./Ich spiele kein {x} mehr.",
     "Mit {x} habe ich nicht aufgehört./Ich habe {x} nicht aufgegeben./Nein, ich hab nicht mit {x} aufgehört, was kostet ein Kurs?"),
    ("Traktor/Wohnwagen", "Ich habe einen {x}.", "Wir haben den {x} verkauft.", "Ich habe den {x} nicht verkauft./Nein, ich verkaufe den {x} nicht."),
    ("du tennis/de la harpe", "Je fais {x}.", "J'ai arrêté de faire {x}./Je ne fais plus {x}.", "Je n'ai pas arrêté de faire {x}./Je n'ai jamais arrêté de faire {x}./non, j'ai pas arrêté de faire {x}, tu conseilles quoi ?"),
    ("tenis/ajedrez", "Juego al {x}.", "He dejado de jugar al {x}./Dejé el {x}.", "No he dejado de jugar al {x}./Nunca dejé el {x}./no he dejado el {x}, dime qué zapatillas comprar"),
    ("la tromba/il flauto", "Suono {x}.", "Ho smesso di suonare {x}./Non suono più {x}.", "Non ho smesso di suonare {x}./Non ho mai smesso di suonare {x}./Non ho mollato {x}."),
    ("flauta/bateria", "Toco {x}.", "Parei de tocar {x}./Já não toco {x}.", "Não parei de tocar {x}./Nunca deixei de tocar {x}./Não desisti de tocar {x}."),
    ("hockey/tennis", "Ik speel {x}.", "Ik ben gestopt met {x}./Ik speel geen {x} meer.", "Ik ben niet gestopt met {x}./Ik ben nooit gestopt met {x}./Nee, ik stop niet met {x}."),
    ("tennis/trombon", "Jag spelar {x}.", "Jag har slutat med {x}./Jag spelar inte {x} längre.", "Jag har inte slutat med {x}./Jag slutade aldrig med {x}./Jag har inte slutat spela {x}."),
    ("tennis/trombone", "Jeg spiller {x}.", "Jeg har slutta med {x}./Jeg spiller ikke {x} lenger.", "Jeg har ikke slutta med {x}./Jeg slutta aldri med {x}./Jeg har ikke gitt opp {x}."),
    ("tenisa/siatkówkę", "Gram w {x}.", "Już nie gram w {x}./Przestałem grać w {x}.", "Nie przestałem grać w {x}./Nigdy nie przestałam grać w {x}."),
    ("теннис/хоккей", "Я играю в {x}.", "Я больше не играю в {x}./Я бросил {x}.", "Я не бросил {x}./Я не перестал играть в {x}./Я никогда не бросал {x}."),
    ("网球/小提琴", "我每周都练{x}。", "我不练{x}了。/我放弃了{x}。", "我没有放弃{x}。/我没放弃{x}，只是问问。"),
    ("テニス/フルート", "私の趣味は{x}です。", "{x}をやめました。/{x}はもうやっていません。", "{x}はやめていません。/いや、{x}はまだやめてないよ。"),
]  # fmt: skip


async def dialogues(column: int) -> list[tuple[str, str]]:
    """Of each fact that is heard and of each form of that column, the fillings in turn."""
    filled = [
        (form[1].format(x=filling), said.format(x=filling))
        for form in FORMS
        for said, filling in zip(form[column].split("/"), cycle(form[0].split("/")), strict=False)
    ]
    heard = {fact for fact, _ in dict(filled).items() if await current(fact)}
    told = [each for each in filled if each[0] in heard]
    assert len(told) > 0.9 * len(filled)
    return told


async def test_a_denied_end_closes_nothing() -> None:
    """A denied end never closes a fact, in twelve languages."""
    told = await dialogues(3)
    assert len(told) > 50
    assert [(fact, denial) for fact, denial in told if fact not in await current(fact, denial)] == []


async def test_the_same_end_that_is_not_denied_closes_it() -> None:
    """In at least four of five dialogues."""
    told = await dialogues(2)
    missed = [(fact, end) for fact, end in told if fact in await current(fact, end)]
    assert len(missed) <= 0.2 * len(told), missed
