"""Twenty things that a person tells in chats, what is asked later, and the word that a right answer holds."""

from __future__ import annotations

from typing import NamedTuple


class Told(NamedTuple):
    said: str
    asked: str
    answer: str


TOLD = [
    Told("My cat is called Miso.", "What is my cat called?", "Miso"),
    Told("My dog's name is Bolt.", "What is my dog's name?", "Bolt"),
    Told("I live in Tromsø.", "Where do I live?", "Tromsø"),
    Told("I work at a bakery.", "Where do I work?", "bakery"),
    Told("My sister is called Ingrid.", "What is my sister called?", "Ingrid"),
    Told("I am allergic to peanuts.", "What am I allergic to?", "peanuts"),
    Told("I drive a Volvo.", "Which car do I drive?", "Volvo"),
    Told("My favourite colour is teal.", "What is my favourite colour?", "teal"),
    Told("I play the bassoon.", "Which instrument do I play?", "bassoon"),
    Told("My brother lives in Nairobi.", "Where does my brother live?", "Nairobi"),
    Told("My favourite dish is pierogi.", "What is my favourite dish?", "pierogi"),
    Told("I was born in Perth.", "Where was I born?", "Perth"),
    Told("My boss is called Priya.", "What is my boss called?", "Priya"),
    Told("I am learning Basque.", "Which language am I learning?", "Basque"),
    Told("My horse is called Thunder.", "What is my horse called?", "Thunder"),
    Told("My wife is called Beatriz.", "What is my wife called?", "Beatriz"),
    Told("I studied geology.", "What did I study?", "geology"),
    Told("My boat is called Albatross.", "What is my boat called?", "Albatross"),
    Told("I collect postcards.", "What do I collect?", "postcards"),
    Told("My doctor is called Okafor.", "What is my doctor called?", "Okafor"),
]
