"""On the page facts stand under the right topic, in whichever of twelve languages they are."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

from rememberd.memory.learn.rules.groups import topic_of
from rememberd.types import Memory

LANGUAGES = Path(__file__).parents[1] / "data" / "languages.toml"

# The topics under which one may look for each of the ten things that `languages.toml` tells in each language.
TEN_THINGS: tuple[set[str], ...] = (
    {"interests"},
    {"health", "people"},
    {"home", "other"},
    {"food"},
    {"about me", "health"},
    {"interests", "health"},
    {"people", "work"},
    {"plans"},
    {"home"},
    {"plans", "people", "about me"},
)

PEOPLE, PLACES = ("Ana", "Milo"), ("Lima", "Porto")
# Of each topic a sentence in ten languages, for any person and place.
SAID = {
    "pets": (
        "Our dog {person} barks at bicycles.",
        "Unsere Katze {person} schläft den ganzen Tag.",
        "Notre chien {person} a peur de l'orage.",
        "Nuestra perra {person} duerme en el sofá.",
        "Il nostro gatto {person} ha paura dei tuoni.",
        "Nosso cachorro {person} tem medo de trovão.",
        "Onze hond {person} blaft naar fietsen.",
        "Nasz kot {person} śpi cały dzień.",
        "Наша кошка спит весь день.",
        "うちの犬は{person}といいます。",
        "我家的狗叫{person}。",
    ),
    "health": (
        "My doctor in {place} changed my pills.",
        "Mein Arzt in {place} hat mir neue Tabletten gegeben.",
        "Le médecin de {place} m'a changé de traitement.",
        "El médico de {place} me recetó otra pastilla.",
        "Il medico di {place} mi ha cambiato le medicine.",
        "O médico de {place} trocou meu remédio.",
        "De huisarts in {place} gaf me andere pillen.",
        "Lekarz w {place} zmienił mi leki.",
        "Врач в {place} выписал мне новые таблетки.",
        "{place}の病院で薬をもらいました。",
        "我在{place}的医院看过医生。",
    ),
    "food": (
        "I have coffee with oat milk at {place}.",
        "Zum Frühstück in {place} nehme ich Müsli.",
        "Je bois du café au lait à {place}.",
        "En {place} bebo café con leche.",
        "A {place} mangio sempre il pesce.",
        "Em {place} eu bebo café sem açúcar.",
        "In {place} drink ik koffie zonder suiker.",
        "W {place} piję kawę bez cukru.",
        "В {place} я пью кофе без сахара.",
        "{place}ではコーヒーを飲みます。",
        "我在{place}喝咖啡不加糖。",
    ),
    "plans": (
        "My flight to {place} leaves at noon.",
        "Mein Flug nach {place} geht am Mittag.",
        "Je pars en vacances à {place} en mai.",
        "Mi vuelo a {place} sale al mediodía.",
        "A maggio vado in vacanza a {place}.",
        "Meu voo para {place} sai ao meio-dia.",
        "Mijn vlucht naar {place} gaat om twaalf uur.",
        "W maju mam urlop w {place}.",
        "В мае у меня отпуск в {place}.",
        "五月に{place}へ旅行します。",
        "我五月去{place}旅行。",
    ),
    "work": (
        "The office in {place} closes in June.",
        "Das Büro in {place} schließt im Juni.",
        "Le bureau de {place} ferme en juin, mes collègues sont tristes.",
        "La oficina de {place} cierra en junio.",
        "L'ufficio di {place} chiude a giugno.",
        "O escritório de {place} fecha em junho.",
        "Het bedrijf in {place} sluit in juni.",
        "Firma w {place} zamyka się w czerwcu.",
        "Офис в {place} закрывается в июне.",
        "{place}の会社は六月に閉まります。",
        "{place}的公司六月关门。",
    ),
    "people": (
        "{person} is my cousin.",
        "{person} ist meine Tante.",
        "{person} est ma tante.",
        "{person} es mi tía.",
        "{person} è mia zia.",
        "{person} é minha irmã.",
        "{person} is mijn zus.",
        "{person} to moja siostra.",
        "{person} — моя сестра.",
        "{person}は私の妹です。",
        "{person}是我妹妹。",
    ),
    "home": (
        "The rent of my flat in {place} went up.",
        "Die Miete meiner Wohnung in {place} ist gestiegen.",
        "Le loyer de mon appartement à {place} a augmenté.",
        "El alquiler del piso de {place} ha subido.",
        "L'affitto dell'appartamento di {place} è aumentato.",
        "O aluguel do apartamento em {place} subiu.",
        "De huur van mijn appartement in {place} is gestegen.",
        "Czynsz za mieszkanie w {place} wzrósł.",
        "Аренда квартиры в {place} подорожала.",
        "{place}のアパートの家賃が上がりました。",
        "{place}的公寓房租涨了。",
    ),
    "interests": (
        "On Sundays {person} and I play chess.",
        "Sonntags spielen {person} und ich Schach.",
        "Le dimanche, {person} et moi jouons aux échecs.",
        "Los domingos {person} y yo vemos películas y jugamos al ajedrez.",
        "La domenica {person} e io suoniamo la chitarra.",
        "Aos domingos {person} e eu tocamos violão.",
        "Op zondag speel ik gitaar met {person}.",
        "W niedziele z {person} gramy w szachy.",
        "По воскресеньям я играю в шахматы с {person}.",
        "日曜日は{person}とギターを弾きます。",
        "星期天我和{person}弹吉他。",
    ),
}


def listed(text: str) -> str:
    return topic_of(Memory("id", text, "fact", 0, 0, 0))


def test_what_is_said_of_each_topic_in_eleven_languages_stands_under_it() -> None:
    """With any names in it: 95 of 100."""
    told = [
        (topic, sentence.format(person=person, place=place))
        for topic, sentences in SAID.items()
        for sentence, person, place in itertools.product(sentences, PEOPLE, PLACES)
    ]
    missed = sorted({f"{topic}: {text} ({listed(text)})" for topic, text in told if listed(text) != topic})
    right = sum(listed(text) == topic for topic, text in told)
    print(f"{right} of {len(told)}")
    assert right >= 0.95 * len(told), "\n".join(missed)


def test_ten_things_in_twelve_languages_stand_where_one_looks_for_them() -> None:
    """Nine of ten. These sentences were made for another test, but were seen when the table of words was written."""
    languages = tomllib.loads(LANGUAGES.read_text(encoding="utf-8"))
    told = [
        (wanted, text)
        for language, row in languages.items()
        if language != "english"
        for wanted, text in zip(TEN_THINGS, row["told"], strict=True)
    ]
    missed = [f"{text} ({listed(text)})" for wanted, text in told if listed(text) not in wanted]
    print(f"{len(told) - len(missed)} of {len(told)}")
    assert len(missed) <= 0.1 * len(told), "\n".join(missed)
