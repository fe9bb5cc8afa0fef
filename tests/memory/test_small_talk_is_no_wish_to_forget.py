"""Talk between people is full of the words of forgetting, keeping and knowing, and deletes nothing."""

from __future__ import annotations

from itertools import product

from rememberd.memory.learn.wishes.memory_commands import memory_command

OPENERS = ("", "Hey Nina! ", "Wow, ", "Thanks, Leo! ", "Haha, same. ", "Oh, I get it. ")
TALK = (
    "keep us posted about the move",
    "you know how long winters feel up here",
    "take it easy with that ankle",
    "hold my seat, I'm five minutes away",
    "I remember the smell of that old kitchen",
    "the twins never let me sleep past six",
    "I wish we had known about the shortcut",
    "it must have been a long night for all of you",
    "we should hang around the harbour again",
    "I lost count of how many times we laughed",
    "so proud of you for sticking to the plan",
    "have you noticed any change since you quit sugar",
    "the band threw in an extra song at the end",
    "our neighbours are gone for the summer, it is so quiet",
    "I cleared my desk and feel so much better",
    "let me know when the doctor calls back",
    "I could never forget how she sang that night",
    "don't forget to breathe on stage",
)
CLOSERS = (".", "!", "! How was your week?", ". Talk soon!")


def test_hardly_any_talk_is_taken_for_a_wish() -> None:
    """Of 432 messages none surely, and at most one of a hundred perhaps: that takes something only if a memory tells
    all that the message names."""
    heard = {}
    for opener, talk, closer in product(OPENERS, TALK, CLOSERS):
        command = memory_command(opener + talk + closer)
        if command and command.kind.startswith("forget"):
            heard[opener + talk + closer] = command.sure
    assert [text for text, sure in heard.items() if sure] == []
    assert len(heard) <= 4, heard


def test_what_one_asks_to_remember_of_oneself_is_heard() -> None:
    """By its form, whatever is named; not where it is a question, or the text of something else."""
    asked = (
        *("Remember that I'm vegetarian.", "please remember my name is Kim", "Remember: I work nights"),
        *("Please remember that we keep two goats.", "Merk dir, dass ich Imker bin.", "Onthoud dat ik noten mijd."),
        *("Retiens que je suis allergique aux noix.", "Recuerda que soy vegano", "Ricordati che io lavoro di notte."),
    )
    others = ("Remember my old car?", "Remember the Alamo.", "Translate into French: remember that I love you.")
    heard = {text: memory_command(text) for text in asked + others}
    assert [text for text, found in heard.items() if found and found.kind == "remember"] == list(asked)
