"""What only sounds like a wish to forget deletes nothing, although it names what a memory tells."""

from __future__ import annotations

import itertools
from dataclasses import replace

from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.learn.carry_out import Reach, carry_out
from rememberd.memory.learn.wishes.memory_commands import MemoryCommand, memory_command
from tests.memory.test_what_a_wish_means_is_found import ADA, NOW, stored
from tests.support.fakes import EmbedderFake

# By language: what was told with how a message names it, and messages that are no wish to forget it.
LOOK_ALIKES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "en": (
        {
            "I play the oboe.": "the oboe",
            "My dog is called Rolo.": "Rolo",
            "I have epilepsy.": "my epilepsy",
            "I live in Leeds.": "Leeds",
            "My ex is called Damon.": "Damon",
            "I owe the bank 900.": "my debt",
        },
        (
            "Don't forget {}.",
            "never forget {} when you plan this",
            "Don't let me forget {}!",
            "I keep forgetting {}, any tricks?",
            "I forgot {} again",
            "how do I forget {}",
            "Why do people forget {}?",
            "My sister says I should forget {}. Is she right?",
            "Write a country song called Forget {}",
            'Translate into French: "forget {}"',
            "what would happen if I asked you to forget {}?",
            "Delete the third line of your poem about {}",
            "remove {} from the second paragraph",
            "drop {} from the guest list, who is left?",
            "Forget about {} for once, what else is there?",
            "You haven't forgotten {}, have you?",
            "I'd like to forget {}. Recommend a comedy?",
            "who deleted {} from the app?",
            "please keep {} in your memory",
            "I never want you to delete {}",
            "did you forget {}?",
            "remind me not to forget {}",
            "is it bad to forget {}",
        ),
    ),
    "de": (
        {
            "Ich spiele Oboe.": "die Oboe",
            "Mein Hund heißt Bello.": "Bello",
            "Ich habe Epilepsie.": "meine Epilepsie",
            "Ich wohne in Celle.": "Celle",
            "Ich habe Schulden.": "meine Schulden",
        },
        (
            "Vergiss nicht {}!",
            "Vergiss {} nicht, wenn du planst",
            "Ich vergesse ständig {}, was hilft?",
            "Ich habe {} vergessen",
            "Wie vergesse ich {}?",
            "Meine Mutter sagt, ich soll {} vergessen. Hat sie recht?",
            "Streich {} aus dem zweiten Absatz",
            "Schreib ein Lied mit dem Titel: Vergiss {}",
            "Was wäre, wenn ich dich bitte, {} zu vergessen?",
        ),
    ),
    "fr": (
        {
            "Je joue du hautbois.": "le hautbois",
            "Mon chien s'appelle Ulysse.": "Ulysse",
            "Je suis épileptique.": "mon épilepsie",
            "J'habite à Brest.": "Brest",
            "J'ai des dettes.": "mes dettes",
        },
        (
            "N'oublie pas {} !",
            "J'oublie toujours {}, que faire ?",
            "J'ai oublié {}",
            "Comment oublier {} ?",
            "Ma mère dit que je devrais oublier {}. Elle a raison ?",
            "Enlève {} du deuxième paragraphe",
            "Écris une chanson intitulée : Oublie {}",
            "Tu n'as pas oublié {} ?",
            "Que se passe-t-il si je te demande d'oublier {} ?",
        ),
    ),
    "es": (
        {
            "Toco el oboe.": "el oboe",
            "Mi perro se llama Curro.": "Curro",
            "Tengo epilepsia.": "mi epilepsia",
            "Vivo en Lugo.": "Lugo",
            "Tengo deudas.": "mis deudas",
        },
        (
            "No olvides {}.",
            "Que no se te olvide {}",
            "Siempre olvido {}, ¿qué hago?",
            "Olvidé {} ayer",
            "¿Cómo olvido {}?",
            "Mi madre dice que olvide {}. ¿Tiene razón?",
            "Quita {} del segundo párrafo",
            "Escribe una canción titulada: Olvida {}",
            "¿Qué pasa si te pido que olvides {}?",
        ),
    ),
    "it": (
        {
            "Suono l'oboe.": "l'oboe",
            "Il mio cane si chiama Argo.": "Argo",
            "Soffro di epilessia.": "la mia epilessia",
            "Vivo a Lodi.": "Lodi",
            "Ho dei debiti.": "i miei debiti",
        },
        (
            "Non dimenticare {}.",
            "Non scordarti {}",
            "Dimentico sempre {}, che faccio?",
            "Ho dimenticato {}",
            "Come si dimentica {}?",
            "Mia madre dice di dimenticare {}. Ha ragione?",
            "Togli {} dal secondo paragrafo",
            "Scrivi una canzone intitolata: Dimentica {}",
            "Cosa succede se ti chiedo di dimenticare {}?",
        ),
    ),
    "pt": (
        {
            "Toco oboé.": "o oboé",
            "O meu cão chama-se Rex.": "o Rex",
            "Tenho epilepsia.": "a minha epilepsia",
            "Moro em Braga.": "Braga",
            "Tenho dívidas.": "as minhas dívidas",
        },
        (
            "Não esqueças {}.",
            "Esqueço sempre {}, o que faço?",
            "Esqueci {} ontem",
            "Como esqueço {}?",
            "A minha mãe diz para esquecer {}. Tem razão?",
            "Tira {} do segundo parágrafo",
            "Escreve uma canção chamada: Esquece {}",
            "O que acontece se eu te pedir para esquecer {}?",
        ),
    ),
    "nl": (
        {
            "Ik speel hobo.": "mijn hobo",
            "Mijn hond heet Bas.": "Bas",
            "Ik heb epilepsie.": "mijn epilepsie",
            "Ik woon in Ede.": "Ede",
            "Ik heb schulden.": "mijn schulden",
        },
        (
            "Vergeet {} niet in het verhaal",
            "Ik vergeet steeds {}, wat helpt?",
            "Ik ben {} vergeten",
            "Hoe vergeet ik {}?",
            "Mijn moeder zegt dat ik {} moet vergeten. Heeft ze gelijk?",
            "Verwijder de derde regel uit je gedicht over {}",
            "Haal {} uit de tweede alinea",
            "Wat gebeurt er als ik je vraag {} te vergeten?",
        ),
    ),
    "sv": (
        {
            "Jag spelar oboe.": "oboen",
            "Min hund heter Sixten.": "Sixten",
            "Jag har epilepsi.": "min epilepsi",
            "Jag bor i Lund.": "Lund",
        },
        (
            "Glöm inte {}!",
            "Jag glömmer alltid {}, vad hjälper?",
            "Jag glömde {}",
            "Hur glömmer man {}?",
            "Min mamma säger att jag ska glömma {}. Har hon rätt?",
            "Ta bort {} ur andra stycket",
            "Vad händer om jag ber dig glömma {}?",
        ),
    ),
    "pl": (
        {
            "Gram na oboju.": "oboju",
            "Mój pies to Burek.": "Burku",
            "Mam epilepsję.": "mojej epilepsji",
            "Mieszkam w Pile.": "Pile",
        },
        (
            "Nie zapomnij o {}!",
            "Ciągle zapominam o {}, co robić?",
            "Zapomniałem o {}",
            "Jak zapomnieć o {}?",
            "Mama mówi, żebym zapomniał o {}. Ma rację?",
            "Usuń zdanie o {} z drugiego akapitu",
            "Co się stanie, jeśli poproszę, żebyś zapomniał o {}?",
        ),
    ),
    "ru": (
        {
            "Я играю на гобое.": "гобой",
            "Мою собаку зовут Шарик.": "Шарика",
            "У меня эпилепсия.": "эпилепсию",
            "Я живу в Туле.": "Тулу",
        },
        (
            "Не забудь про {}!",
            "Я всё время забываю про {}, что делать?",
            "Я забыл про {}",
            "Как забыть про {}?",
            "Мама говорит забыть про {}. Она права?",
            "Убери предложение про {} из второго абзаца",
            "Что будет, если я попрошу тебя забыть про {}?",
        ),
    ),
    "zh": (
        {"我住在西安。": "西安", "我有癫痫。": "癫痫", "我养了一只猫。": "猫", "我欠银行钱。": "欠钱"},
        (
            "别忘了{}",
            "我总是忘记{}，怎么办？",
            "我忘了{}",
            "怎么忘记{}？",
            "把第二段里的{}删掉",
            "我妈叫我忘掉{}，她对吗？",
        ),
    ),
}


async def test_look_alikes_in_eleven_languages_delete_nothing() -> None:
    """Warnings not to forget, complaints, questions, what others say, titles, translations and work on texts."""
    cases, taken, lost = 0, [], []
    for language, (told, messages) in LOOK_ALIKES.items():
        for message in messages:
            for memory, name in told.items():
                said = message.format(name)
                cases += 1
                command = memory_command(said)
                if command is None or not command.kind.startswith("forget"):
                    continue
                taken += [(language, said)] if command.sure else []
                store = await stored([*told, "I like rye bread."], learned=True)
                done = await carry_out(store, EmbedderFake(), Reach("ada", ADA), command, NOW + 100)
                lost += [(said, memory)] if done.gone else []
    assert cases >= 500
    assert lost == []
    assert len(taken) <= 0.01 * cases, taken


UNSURE = (
    ("get rid of the smell in my Polo", "I drive a Polo."),
    ("scrap the lasagne, let's do soup tonight", "I love lasagne."),
    ("drop Rolo at mum's, then when should I leave for the airport", "My dog is called Rolo."),
    ("forget Bath, where else in Somerset is nice in spring", "I live in Bath."),
)


async def test_a_doubtful_wish_takes_only_what_tells_all_that_it_names() -> None:
    """If a memory tells only a part, it stays, and if two tell all of it, both stay."""
    for said, told in UNSURE:
        store = await stored([told], learned=True)
        await carry_out(
            store, EmbedderFake(), Reach("ada", ADA), MemoryCommand("forget", said, sure=False), NOW + 100
        )
        assert any(told in each.text for each in store.memories(ADA)), said
    store = await stored(["I have a tattoo of a heron.", "My tattoo is on my arm."], learned=True)
    before = len(store.memories(ADA))
    done = await carry_out(
        store, EmbedderFake(), Reach("ada", ADA), MemoryCommand("forget", "forget the tattoo"), NOW
    )
    assert (done.gone, len(store.memories(ADA))) == ((), before)
    assert "heron" in done.note
    assert "arm" in done.note


RESTS = ("Don't know what I'd do without {}.", "I could never do without {}!", "It is hard to let {} go.")
EVERYTHING = ("My {} has been my rock through everything.", "My {} is all I have.", "{} and I share everything.")
WHOM = ("family", "wife", "sister", "health", "job", "dog")


async def test_talk_of_everything_deletes_nothing() -> None:
    """ "Everything" in one sentence is no order in another, and a doubtful wish takes one memory at most."""
    told = {"I have two kids.": "family", "I have a brother.": "family", "I have asthma.": "health"}
    for talk, rest, whom in itertools.product(EVERYTHING, RESTS, WHOM):
        said = f"Hey, Evan. {talk.format(whom)} {rest.format('them')}"
        command = memory_command(said)
        store = await stored(list(told), learned=True)
        facts = [replace(each, slot=told[each.text]) for each in store.memories(ADA) if each.kind == "fact"]
        await store.put(ADA, [await to_point(each, EmbedderFake()) for each in facts])
        for doubtful in (command, MemoryCommand("forget", said, sure=False)):
            if doubtful is not None:
                done = await carry_out(store, EmbedderFake(), Reach("ada", ADA), doubtful, NOW + 100)
                assert done.gone == (), said
