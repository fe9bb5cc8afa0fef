"""Is this word what somebody does for a living, or is it a name? Word lists for "I'm a …" and "I'm …"."""

from __future__ import annotations

import re

_OCCUPATIONS = (
    "nurse doctor vet chef cook pilot clerk judge student undergrad phd postdoc ceo cto cfo founder "
    "freelancer coach dev sysadmin architect surgeon dentist accountant consultant paramedic mechanic "
    "cop priest monk pastor imam rabbi barista pair nanny midwife intern apprentice tutor analyst "
    "lawyer attorney solicitor musician model actress waitress secretary housewife homemaker "
    "entrepreneur nun soldier veteran"
)
_ENDING = re.compile(
    r"\w{2,}(?:er|or|ist|ian|eer|smith|wright|grapher|ologist)$|\w{3,}(?:fire|fisher|sales|police)man$"
)
_NOT_OCCUPATIONS = (
    "beginner newcomer user member customer believer lover father mother brother sister teenager "
    "stranger hater outsider loser dreamer thinker learner starter owner renter winner speaker reader "
    "riser vegetarian pedestrian other another super number letter minor senior junior foreigner "
    "subscriber buyer seller caller visitor follower supporter neighbor order error sucker killer "
    "monster matter computer later over fighter survivor helper keeper procrastinator overthinker "
    "perfectionist optimist pessimist realist minimalist feminist christian gamer buddhist atheist "
    "norwegian italian canadian australian brazilian russian indian ukrainian belgian hungarian "
    "austrian georgian iranian persian egyptian palestinian libertarian hiker cyclist runner swimmer "
    "climber surfer skier biker"
)
_NOT_NAMES = (
    "ready ok okay sure here done sorry fine good great glad happy back new late lost stuck tired "
    "busy right wrong not in on at batman superman spiderman god jesus santa german french english "
    "british american irish scottish welsh italian spanish norwegian swedish danish finnish dutch "
    "polish russian ukrainian greek turkish chinese japanese korean indian pakistani brazilian "
    "mexican canadian australian african european asian latino latina swiss austrian belgian "
    "portuguese czech hungarian romanian iranian israeli egyptian nigerian ghanaian kenyan jewish "
    "muslim christian catholic hindu buddhist republican democrat autistic adhd"
)


def is_occupation(word: str) -> bool:
    word = word.casefold()
    if word in _NOT_OCCUPATIONS.split() or word.endswith(("mother", "father", "arian")):
        return False
    return word in _OCCUPATIONS.split() or _ENDING.match(word) is not None


def is_given_name(words: str) -> bool:
    """A capitalised word that is no nationality, faith or mood, nor an acronym of more than three letters."""
    first = words.split()[0]
    if re.search(r"-[a-z]", words):
        return False
    return first.casefold() not in _NOT_NAMES.split() and not (first.isupper() and len(first) > 3)
