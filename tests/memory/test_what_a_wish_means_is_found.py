"""What a wish to forget means is found among what is known, and nothing that it does not mean goes."""

# ruff: noqa: E501  a table of cases stays short

from __future__ import annotations

import itertools

from rememberd.memory.learn.build_memories import episode, facts
from rememberd.memory.learn.carry_out import Reach, carry_out
from rememberd.memory.learn.reconcile import merge
from rememberd.memory.learn.wishes.memory_commands import Kind, MemoryCommand
from rememberd.memory.learn.wishes.wish_words import named
from rememberd.types import Fact, Space, Turn
from tests.support.fakes import EmbedderFake, MemoryStoreFake

ADA = Space("ada")
NOW = 1_700_000_000_000


async def stored(told: list[str], *, learned: bool) -> MemoryStoreFake:
    """A store in which the user has told this. `learned`: a fact was made of each message."""
    store, embedder = MemoryStoreFake(), EmbedderFake()
    for number, text in enumerate(told):
        turn = Turn(f"t{number}", ADA, NOW + number, user_text=text, answer="I see.", receipt="r")
        stated = facts(turn, [Fact(text, text)]) if learned else []
        await merge(store, embedder, ADA, [episode(turn), *stated], NOW + number)
    return store


async def left_after(told: list[str], wish: str, *, learned: bool) -> list[str]:
    """What the user's memories say after the wish."""
    store = await stored(told, learned=learned)
    kind: Kind = "forget_about" if named(wish).everything else "forget"
    await carry_out(store, EmbedderFake(), Reach("ada", ADA), MemoryCommand(kind, wish), NOW + 100)
    return [each.text for each in store.memories(ADA)]


# What was told of somebody or something, with the forms of the name that a wish may have; and the wishes.
NAMED = {
    "en": (("My stepbrother is called {}.", "I owe {} a lot of money."), ("Orla", "Bastian"), "{0}",
           ("Forget {}.", "please delete what I told you about {}", "I'd rather you didn't keep {} in mind.", "Remove the bit about {} that I gave you")),
    "de": (("Mein Stiefbruder heißt {}.", "{} schuldet mir noch Geld."), ("Ottilie", "Bastian"), "{0}",
           ("Vergiss {} bitte.", "lösch alles, was du über {} weißt", "Kannst du {} aus deinen Notizen streichen?")),
    "fr": (("Mon demi-frère s'appelle {}.", "J'ai prêté ma tente à {}."), ("Solène", "Gaspard"), "{0}",
           ("Oublie {} s'il te plaît.", "Efface ce que je t'ai dit sur {}", "je ne veux plus que tu saches quoi que ce soit de {}")),
    "es": (("Mi hermanastro se llama {}.", "Vivo con {} desde mayo."), ("Ainhoa", "Gonzalo"), "{0}",
           ("Olvida a {}, por favor.", "borra de tu memoria lo que te dije de {}", "Ya no quiero que recuerdes a {}")),
    "it": (("Il mio fratellastro si chiama {}.", "Vado in barca con {}."), ("Ginevra", "Tullio"), "{0}",
           ("Dimentica {}, grazie.", "cancella dai tuoi ricordi quello che ti ho detto su {}", "Togli {} dai tuoi appunti per favore")),
    "pt": (("O meu meio-irmão chama-se {}.", "Devo dinheiro à {}."), ("Benedita", "Vasco"), "{0}",
           ("Esquece a {}, por favor.", "apaga o que te contei sobre {}", "não guardes nada das tuas notas sobre {}")),
    "nl": (("Mijn stiefbroer heet {}.", "Ik heb {} geld geleend."), ("Sjoukje", "Wiebe"), "{0}",
           ("Vergeet {} alsjeblieft.", "Haal {} uit je geheugen", "verwijder wat ik je over {} heb verteld")),
    "sv": (("Min styvbror heter {}.", "Jag är skyldig {} pengar."), ("Ingegerd", "Torkel"), "{0}",
           ("Glöm {} tack.", "ta bort det jag berättade om {}", "Radera {} ur ditt minne")),
    "no": (("Stebroren min heter {}.", "Jeg skylder {} penger."), ("Ragnhild", "Torkil"), "{0}",
           ("Glem {} er du snill.", "slett det jeg fortalte deg om {}", "Fjern {} fra minnet ditt")),
    "pl": (("Moja siostra to {}.", "Moja szefowa to {}."), ("Grażyna", "Bożena"), "{stem}ę",
           ("Zapomnij proszę o {}.", "usuń {} ze swojej pamięci", "Skasuj wszystko, co ci mówiłam o moją {}")),
    "ru": (("Мою соседку зовут {}.", "Моя начальница {}."), ("Лариса", "Тамара"), "{stem}у",
           ("Забудь про {}.", "удали из памяти мою {}, пожалуйста", "Сотри всё, что я тебе говорил про {}")),
}  # fmt: skip
OTHER = ["I like rye bread.", "Ich habe einen alten Kahn.", "J'aime les figues.", "Я пою в хоре.", "I live in Fowey."]


async def test_whoever_is_named_is_found_in_each_language() -> None:
    """By the name alone, in its case, though the wish has words that no memory has; learned as a fact or not."""
    missed, lost, cases = [], [], 0
    for told, names, form, wishes in NAMED.values():
        pairs = zip(told, names, strict=True)
        for (said, name), wish, learned in itertools.product(pairs, wishes, (True, False)):
            wanted = wish.format(form.format(name, stem=name[:-1]))
            left = await left_after([said.format(name), *OTHER], wanted, learned=learned)
            cases += 1
            missed += [wanted] if any(name in text for text in left) else []
            lost += [(wanted, other) for other in OTHER if not any(other in text for text in left)]
    assert lost == []
    assert len(missed) <= 0.03 * cases, missed


CLAIMS = (
    "I live in Norway.", "My dog is called Biscuit.", "I play the harp in Truro.", "My brother works at Nokia.", "I owe Ruben 300.",
    "My PIN hint is a river in Wales.", "I had an operation on my knee.", "Ich wohne bei Paula in Kiel.", "J'ai vendu mon vélo à Paul.",
)  # fmt: skip
NOT_THESE = (
    "Forget that I like skiing in Norway.", "Delete my dog's vet bill.", "Forget that my harp is broken.", "Please forget that I'm afraid of brothers-in-law.",
    "Erase my password hint for the bank.", "Forget that I had a row with Ruben at the airport.", "Forget my elbow operation.", "Vergiss bitte, dass Paul geheiratet hat.",
    "Oublie que Paula a vendu sa maison.", "Olvida que trabajo en Nokia desde casa.", "Forget the river cruise.", "Remove my sister's job at Siemens.",
)  # fmt: skip


async def test_what_only_shares_a_word_with_the_wish_stays() -> None:
    """Another claim about the same place, person or thing is not meant."""
    lost = []
    for wish, learned in itertools.product(NOT_THESE, (True, False)):
        left = await left_after(list(CLAIMS), wish, learned=learned)
        lost += [(wish, claim) for claim in CLAIMS if not any(claim in text for text in left)]
    assert lost == []


# An attribute that the wish names by another word than what was told.
ATTRIBUTES = {
    "I weigh 84 kilos.": ("Forget my weight.", "please delete what I told you about my weight"),
    "I earn 3,100 a month.": ("Forget my salary.", "wipe my income from your memory"),
    "My income is 52,000.": ("Forget what I earn.", "Delete my salary, it's private."),
    "I owe my uncle 900.": ("Forget my debts.", "Remove the bit about my debts."),
    "Ich wiege 91 Kilo.": ("Vergiss mein Gewicht.",), "Ich verdiene 2900 im Monat.": ("Lösch mein Gehalt bitte.",),
    "Ich schulde meinem Bruder 500.": ("Vergiss meine Schulden.",), "Je pèse 77 kilos.": ("Oublie mon poids.", "efface mon poids de ta mémoire"),
    "Je gagne 2400 par mois.": ("Oublie mon salaire.",), "Peso 68 kilos.": ("Olvida mi peso.",), "Gano 1900 al mes.": ("Borra mi sueldo de tu memoria.",),
    "Guadagno 1700 euro.": ("Dimentica il mio stipendio.",), "Ganho 1500 por mês.": ("Esquece o meu salário.",), "Ik weeg 90 kilo.": ("Vergeet mijn gewicht.",),
    "Ik verdien 2600.": ("Wis mijn salaris.",), "Jag väger 66 kilo.": ("Glöm min vikt.",), "Jeg tjener 40000.": ("Glem lønnen min.",), "Zarabiam 7000.": ("Zapomnij moją pensję.",),
    "Я вешу 70 килограмм.": ("Забудь мой вес.",), "Я зарабатываю 90 тысяч.": ("Удали мою зарплату из памяти.",),
}  # fmt: skip
OF_OTHERS = (
    ("My dog weighs 30 kilos.", "Forget my weight."), ("My brother earns 4,000.", "Delete my salary."), ("Mein Hund wiegt 30 Kilo.", "Vergiss mein Gewicht."),
    ("Mi hermana gana 2000.", "Borra mi sueldo de tu memoria."), ("I live in London.", "Forget my loan."), ("I cook dinner for six.", "Forget my faith."),
    ("I have a tall oak in the garden.", "Forget my salary."),
)  # fmt: skip


async def test_an_attribute_is_found_by_another_word_for_it() -> None:
    """As a thing or as what one does; not where it is somebody else's."""
    missed, cases = [], [(told, wish) for told, wishes in ATTRIBUTES.items() for wish in wishes]
    for (told, wish), learned in itertools.product(cases, (True, False)):
        left = await left_after([told, *OTHER], wish, learned=learned)
        missed += [(told, wish)] if any(told in text for text in left) or len(left) < len(OTHER) else []
    assert len(missed) <= 0.1 * 2 * len(cases), missed
    for (told, wish), learned in itertools.product(OF_OTHERS, (True, False)):
        assert any(told in text for text in await left_after([told, *OTHER], wish, learned=learned)), (told, wish)


# Attributes that were told in an exchange only, and wishes that name them without their value; in ten languages.
TOLD_ONLY = [
    ("I live at 3 Mill Row, Hexham.", "Please don't keep my address."), ("I live in Hexham.", "Forget where I live."), ("I work for Halfords.", "Delete the info on who I work for."),
    ("Ich wohne in der Lindenallee 3 in Kiel.", "Lösch bitte meine Adresse, wirf sie raus."), ("Ich arbeite bei Siemens.", "Vergiss wieder, wo ich arbeite."), ("J'habite à Dole.", "Efface tout ce qui concerne mon adresse."),
    ("Je travaille chez Airbus.", "Oublie où je travaille, merci."), ("Vivo en Oviedo.", "Olvida dónde vivo, porfa."), ("Abito a Lecce.", "non voglio che tu conservi il mio indirizzo, toglilo"),
    ("Trabalho na Galp.", "Podes apagar da memória onde eu trabalho?"), ("Ik woon in Gent.", "kun je m'n adres wissen?"), ("Jag bor i Visby.", "radera min adress tack"), ("Jeg bor i Bodø.", "Slett adressen min er du snill."),
    ("Я живу в Казани.", "Удали из памяти мой адрес, пожалуйста."), ("我住在成都。", "请忘记我的住址。"),
]  # fmt: skip


async def test_what_was_told_in_an_exchange_only_is_found_by_its_attribute() -> None:
    """Where I live or work; nothing else goes, and no attribute of somebody else."""
    missed, lost = [], []
    for told, wish in TOLD_ONLY:
        left = await left_after([told, *OTHER[:4]], wish, learned=False)
        missed += [wish] if any(told in text for text in left) else []
        lost += [(wish, other) for other in OTHER[:4] if not any(other in text for text in left)]
    assert lost == []
    assert missed == []
    for wish in ("Forget my sister's address.", "Forget my wife's job.", "Vergiss die Adresse meiner Schwester."):
        own = ["I live in Hexham.", "I work for Halfords.", "My wife is Sunniva.", "Ich wohne in Kiel."]
        assert len(await left_after(own, wish, learned=False)) == len(own), wish


# What stands around a named attribute, or around what a wish names, in words that no list needs to have.
AROUND = [
    ("I live in Hexham.", "forget where I live would you"), ("Vivo en Oviedo.", "Olvida dónde vivo, porfita, que no quede ahí."), ("Moro em Tomar.", "esquece a minha morada, por favorzinho"),
    ("I owe Ruben 300.", "Ruben has moved on. Forget Ruben."), ("Ich war im Entzug.", "Moin, also: lösch das mit dem Entzug mal, geht keinen was an"), ("Sono in cura per l'epilessia.", "senti, cancella pure quello che ti ho raccontato sull'epilessia"),
    ("Ik zat in de schuldsanering.", "joh, haal dat over die schuldsanering eens weg uit je geheugen"), ("J'ai une dette de jeu.", "écoute, efface ce que je t'ai dit sur la dette, d'accord ?"),
]  # fmt: skip
NOT_THE_ATTRIBUTE = (
    "Delete my job application.", "Forget my home insurance.", "Remove my address in Leeds.", "Forget my work email draft.", "Vergiss meine Adresse in Bremen.",
)  # fmt: skip


async def test_words_around_what_is_named_do_not_hide_it() -> None:
    """Learned as a fact or not; what stands beside an attribute in the same phrase names another thing."""
    missed = []
    for (told, wish), learned in itertools.product(AROUND, (True, False)):
        left = await left_after([told, *OTHER[:4]], wish, learned=learned)
        missed += [wish] if any(told in text for text in left) else []
        assert len(left) >= 4, wish
    assert len(missed) <= 0.2 * 2 * len(AROUND), missed
    for wish in NOT_THE_ATTRIBUTE:
        own = ["I live in Hexham.", "I work for Halfords.", "Ich wohne in Kiel."]
        assert len(await left_after(own, wish, learned=False)) == len(own), wish


# What is told, the wish, and what must go of it; all else must stay.
ONE_OF_THEM = [
    (("I'm allergic to kiwi.", "I'm allergic to soy."), "you can drop the kiwi one, keep soy", "kiwi"),
    (("I'm on lithium.", "I work at Ferrari."), "forget the lithium, this is a work laptop", "lithium"),
    (("My phone number is 0770 900 123.", "My email is ada@example.org."), "Forget my phone number.", "0770"),
    (("My phone number is 0770 900 123.", "My email is ada@example.org."), "delete my email address", "ada@"),
    (("I owe my brother 4,000.", "My brother lives in York."), "erm, the debts to my brother, delete those", "4,000"),
    (("My salary is 40,000.", "My salary is 52,000.", "I own a kiln."), "forget what i earn", "salary"),
    (("Meine Handynummer ist 0151 22.", "Ich habe eine Ziege."), "Bitte merk dir meine Nummer nicht länger", "0151"),
    (("Mein Gehalt ist 3.900 brutto.", "Ich mag Rübli."), "Lösch mal, was ich verdiene.", "3.900"),
    (("Ho l'asma.", "Suono la tromba."), "dimentica quella cosa dell'asma", "asma"),
    (("저 이혼했어요.", "저는 대구 살아요."), "이혼 얘기는 지워줘", "이혼"),
    (("أنا مصاب بالربو.", "أحب الشاي."), "انسَ موضوع الربو من فضلك", "الربو"),
    (("Leczę się na serce.", "Mam kota."), "Usuń proszę to, co pisałam o sercu.", "serce"),
]
ANOTHER_THING = [
    ("I work at Ferrari.", "pls forget i'm gay, not out at work and this is my work account"), ("I hate karaoke bars.", "Forget that I love karaoke."),
    ("Guadagno 1450 euro.", "Cancella lo stipendio, i 1400 euro"), ("I owe money to the bank.", "Forget that I owe money to my uncle."), ("I voted Reform.", "Forget that I voted Green."),
    ("I restore radios.", "Forget where I work."), ("I'm from Larne.", "Forget where I live."), ("My grandmother is Dutch.", "Vergiss meine Mutter."), ("Meine Großmutter ist Imkerin.", "Vergiss meine Mutter."),
    ("My email is ada@example.org.", "Forget my phone number."), ("My dog weighs 30 kilos.", "Forget everything about my health."), ("I lend money to nobody.", "Delete everything about my health."),
]  # fmt: skip


async def test_of_several_things_the_one_that_is_meant_goes() -> None:
    """Whatever stands around the wish: a reason, what is to be kept, or sounds such as "erm"; in nine languages."""
    wrong = []
    for (told, wish, gone), learned in itertools.product(ONE_OF_THEM, (True, False)):
        left = await left_after([*told, *OTHER[:3]], wish, learned=learned)
        still = [text for text in (*told, *OTHER[:3]) if any(text in each for each in left)]
        wrong += [(wish, still)] if still != [text for text in (*told, *OTHER[:3]) if gone not in text] else []
    assert wrong == []


async def test_another_value_a_reason_or_the_contrary_is_not_meant() -> None:
    """Nothing is deleted, although the wish shares an attribute or a word with the memory."""
    tried = itertools.product(ANOTHER_THING, (True, False))
    assert [wish for (told, wish), learned in tried if not await left_after([told], wish, learned=learned)] == []


async def test_everything_about_a_class_takes_all_of_it() -> None:
    """My health, money and family, in several languages; nothing else goes."""
    health = ["I weigh 80 kilos.", "I take pills for my heart.", "Ich bin schwanger."]
    money = ["I earn 3,000 a month.", "Tengo una deuda con Hacienda."]
    for wish, of_it in (
        ("Forget everything about my health.", health), ("Lösch alles über meine Gesundheit.", health), ("efface tout sur ma santé", health),
        ("delete everything about my money", money), ("Borra todo sobre mi dinero.", money), ("удали всё про мои финансы", money),
    ):  # fmt: skip
        left = await left_after([*health, *money, *OTHER], wish, learned=True)
        lost = [text for text in (*health, *money, *OTHER) if not any(text in each for each in left)]
        assert sorted(lost) == sorted(of_it), wish


DIAGNOSES = (
    ("I have epilepsy.", "Please delete my diagnosis."), ("Ich habe Asthma.", "Vergiss bitte meine Krankheit."), ("Tengo epilepsia.", "Borra mi diagnóstico de tu memoria."),
    ("Ho l'asma.", "Dimentica la mia diagnosi."), ("Ik heb astma.", "Wis mijn diagnose."), ("У меня астма.", "Удали мой диагноз."), ("我有糖尿病。", "请忘记我的病。"),
)  # fmt: skip


async def test_a_class_that_is_named_alone_means_its_only_fact() -> None:
    """ "My diagnosis" is what one health fact tells. Of two none goes, nor one that only the rules took for health, nor
    any for "my health insurance"."""
    for told, wish in DIAGNOSES:
        assert not any(told in text for text in await _left_of_health([told], wish)), wish
    assert len(await _left_of_health(["I have epilepsy.", "I have asthma."], "Please delete my diagnosis.")) == 2
    assert len(await _left_of_health(["Tenho um aquário."], "Apaga o meu diagnóstico, por favor.")) == 1
    assert len(await _left_of_health(["I have epilepsy."], "Please delete my health insurance.")) == 1


async def _left_of_health(told: list[str], wish: str) -> list[str]:
    """The facts that are left of these, all of which have the slot of health, and of another one."""
    store, embedder = MemoryStoreFake(), EmbedderFake()
    for number, text in enumerate([*told, "I keep bees."]):
        turn = Turn(f"t{number}", ADA, NOW + number, user_text=text, answer="I see.", receipt="r")
        slot = "health" if text in told else "pet"
        await merge(store, embedder, ADA, facts(turn, [Fact(text, text, slot)]), NOW + number)
    await carry_out(store, embedder, Reach("ada", ADA), MemoryCommand("forget", wish), NOW + 100)
    left = [each.text for each in store.memories(ADA)]
    assert "I keep bees." in left
    return [text for text in left if text in told]
