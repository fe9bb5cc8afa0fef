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
