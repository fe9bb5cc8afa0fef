"""What a wish must look like to be read by others, and what of a message goes along."""

from __future__ import annotations

from rememberd.memory.learn.wishes.group_wishes import GroupWish, group_wish
from tests.support.tables import each_row

YES = {
    "Remember for the team that the release is on Friday.": "Remember that the release is on Friday.",
    "Please remember for @research that the code is Heron.": "Please remember that the code is Heron.",
    "remember for our research group: standup is at 9": "remember: standup is at 9",
    "Save this for the team: the key changes monthly.": "Save this: the key changes monthly.",
    "Merke dir für das Team, dass die Freigabe am Freitag ist.": "Merke dir, dass die Freigabe am Freitag ist.",
    "Retiens pour l'équipe que la réunion est à midi.": "Retiens que la réunion est à midi.",
    "Recuerda para el equipo que la reunión es a las nueve.": "Recuerda que la reunión es a las nueve.",
    "Remember this for the team. The release is on Friday.": "The release is on Friday.",
}
NO = (
    "I love my team.",
    "What should I buy for the team?",
    "Remember that I work for the team in Oslo.",
    "Remember that I bought a gift for my team.",
    "Remember my love for the team.",
    "Don't remember for the team that I am sick.",
    "Do you remember for the team that we met?",
    "I remember for the team that was my life.",
    'He said: "Remember for the team that I lost."',
    "Write a note for the team that I am leaving.",
    "Remember for the team.",
)


@each_row("text", YES)
def test_a_plain_wish_is_heard_without_the_words_that_name_the_group(text: str) -> None:
    assert group_wish(text, ["research"]) == GroupWish("research", YES[text], "")


@each_row("text", NO)
def test_what_is_no_plain_wish_stays_the_persons(text: str) -> None:
    """In doubt nobody else reads it."""
    assert group_wish(text, ["research"]) is None


def test_only_the_sentence_of_the_wish_goes_along() -> None:
    found = group_wish("I am ill. Remember for the team that Bob is on call. What should I eat?", ["ops"])
    assert found == GroupWish("ops", "Remember that Bob is on call.", "I am ill.\nWhat should I eat?")


def test_of_several_groups_one_must_be_named() -> None:
    """By its name; a name of a group in which the person may not write is nobody's."""
    both = ["research", "Ops"]
    for text, group in (
        ("Remember for @ops that x is y.", "Ops"),
        ("Remember for the research team that x is y.", "research"),
        ("Remember for the team that x is y.", None),
        ("Remember for @sales that x is y.", None),
        ("Remember for my football team that x is y.", None),
    ):
        found = group_wish(text, both)
        assert found is not None
        assert found.group == group
    assert group_wish("Remember for @sales that x is y.", ["ops"]) == GroupWish(None, "Remember that x is y.", "")
    football = group_wish("Remember for my football team that I am injured.", ["ops"])
    assert football is not None
    assert football.group is None  # not the only group there is, whose members are others
    assert group_wish("Remember for the team that x is y.", []) is None
