"""Who says something about themselves in plain words is understood, whatever fills the form."""

from __future__ import annotations

import re
from itertools import product

from rememberd.memory.learn.rules.extract import extract

RELATIVE = "sister/brother Tom/father/mother/wife/husband/son Max/daughter"
JOB = "nurse/plumber/teacher/pilot/baker/welder"
FORMS = (  # what is in braces is one of these
    f"My {{{RELATIVE}}} is a {{nurse/plumber/teacher/pilot}}.",
    f"My {{{RELATIVE}}} {{passed away in 2020/is diabetic/is from Ghana/plays the violin/studies law/loves jazz}}.",
    "I {bought/adopted/sold/inherited/leased} a {Volvo/cat/piano/boat/camper van/bike/house}.",
    "I work {from home/remotely/night shifts/part-time/weekends/in a hospital/at a bakery/freelance}.",
    "I run a {bakery/blog/small café/yoga studio/podcast/vineyard/charity/hair salon}.",
    f"I {{became/was/work as/am}} a {{{JOB}}}.",
    "I'm {retired/unemployed/a freelancer/between jobs/Catholic/Muslim/gay/bilingual/an atheist}.",
    "My {dog/cat/horse/boss/parrot} is called {Rex/Nala/Otto}.",
    "I've been {playing chess/learning Greek/collecting stamps/painting} for {years/six months}.",
    "I {read mostly science fiction/listen to jazz/read poetry/watch documentaries}.",
    "My hobby is {falconry/origami/baking/fencing}.",
    "I {grew up on a farm/grew up near the sea/can't swim/wear size 42/live alone/live with two flatmates}.",
    "I've always {loved/hated/enjoyed} {trains/spiders/cooking/thunderstorms}.",
    "I'm {fond of/obsessed with/a big fan of} {spicy food/chess/jazz/old maps/the sea}.",
    "I {cycle to work/lead a team of six/speak Norwegian/commute an hour to work}.",
    "Me {gustan/encantan} {los gatos/los trenes}.",
    "{Toco el piano/Soy enfermero/Trabajo como cocinero/Trabajo de noche/Soy de Sevilla}.",
    "{Lavoro come cuoco/Lavoro come idraulico/Mi piacciono i gatti/Mi piace il jazz}.",
    "{Je joue du piano/J'aime le jazz/J'aime la mer/Je suis infirmière/Je suis retraité}.",
    "{Ich spiele Klavier/Ich bin Lehrerin/Ich bin Rentner/Meine Schwester ist Ärztin}.",
    "{Ik speel piano/Ik ben loodgieter/Jestem nauczycielką/Sou professora/Jag spelar gitarr/Jeg spiller sjakk}.",
    "{Я врач/Я люблю джаз/Я играю в шахматы/我是老师/我喜欢猫/私は教師です}。",
    # what somebody does not have
    "{I have no/I don't have any} {kids/siblings/pets/allergies}.",
    "{Non ho/Non abbiamo} {figli/fratelli/animali/la macchina}.",
    "{Jag har inga syskon/Jag har inga barn/Jag har ingen bil/Vi har inga husdjur}.",
    "{Je n'ai pas/On n'a pas} {de voiture/d'enfants/de chien/de jardin}.",
    "{No tengo/No tenemos} {hijos/hermanos/coche/perro}.",
    "{Ich habe keine Kinder/Ich habe keine Geschwister/Ik heb geen auto/Nie mam dzieci/У меня нет детей}.",
    # how others are called
    "{Mi jefe se llama Pablo/Mi vecina se llama Ana/Mein Chef heißt Uwe/Mijn baas heet Joke/Min chef heter Anna}.",
    "{Ma patronne s'appelle Odile/Il mio capo si chiama Ugo/Minha chefe se chama Lia/Моего начальника зовут Олег}.",
    "I {program/code} in {.NET and C++/Rust/Python and Go/PHP mostly}.",
    "{Vegan/Vegetarian/Coeliac/Pescatarian} here, {so no cheese please/any ideas}.",
    "As a {nurse/plumber/teacher/baker}, I {work a lot of nights/see that every day}.",
    "I'm {alergic to nuts/allergc to cats/lactose intollerant/vegeterian}.",
)


def filled(form: str) -> list[str]:
    texts, *choices = re.split(r"\{[^}]*\}", form), *(part.split("/") for part in re.findall(r"\{([^}]*)\}", form))
    return ["".join(a + b for a, b in zip(texts, [*chosen, ""], strict=True)) for chosen in product(*choices)]


def test_nearly_every_filled_form_makes_a_fact() -> None:
    """A classifier alone missed 31 % of such sentences, and found nine of ten in the messages of a blind set."""
    said = [text for form in FORMS for text in filled(form)]
    missed = [text for text in said if not extract(text, 0)]
    assert len(said) > 200
    assert len(missed) * 25 <= len(said), missed


LATER = (  # what will be, or would be, is no statement
    "When I'm {retired/old/rich}, I {live in Spain/own a boat/have three dogs}.",
    "{Once I'm retired/By the time I'm sixty/In another life}, I {live in Lisbon/keep bees}.",
    "Wenn ich {in Rente/alt/reich} bin, {wohne ich in Spanien/habe ich drei Hunde}.",
    "{Quand je serai vieux, j'habite/Cuando me jubile, vivo/Quando sarò vecchio, abito} {en Bretagne/a Roma}.",
)


def test_what_is_to_come_makes_no_fact() -> None:
    """The main clause alone would be a statement. At most one in ten is taken for one."""
    said = [text for form in LATER for text in filled(form)]
    made = [text for text in said if extract(text, 0)]
    assert len(made) * 10 <= len(said), made


def test_what_stands_before_a_question_is_heard() -> None:
    """The statement without its question, in any language: no table knows these."""
    said = {
        "I teach pottery at a prison, how do I stop cracks in the kiln?": "I teach pottery at a prison",
        "Visc a Olot, què fem amb els nens si plou?": "Visc a Olot",
        "আমি খুলনায় থাকি। ভাত কীভাবে রান্না করব?": "আমি খুলনায় থাকি।",
    }
    assert {text: [fact.text for fact in extract(text, 0)] for text in said} == {
        text: [fact] for text, fact in said.items()
    }
