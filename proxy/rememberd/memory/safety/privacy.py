"""Which memories stay on the operator's own machines: marked by the user, by their scope, or by their topic.

The topic is read from the words each time before a memory is sent, so that a class added to the settings also holds
for older memories. In doubt, the table keeps a memory here: a harmless word in it costs one memory in one block.
"""

import re
from collections.abc import Collection

from rememberd.types import Memory, Space, Turn

# The special categories of the GDPR's article 9 and the crimes of its article 10, and money, which people mind as
# much. A star stands for any ending, an underscore for a space. German, French and Spanish: the commonest words only.
CLASSES = {
    "health": """
        addict* adhd alcoholi* allerg* alzheimer* anorexi* antibiotic* antidepress* anxiety asthma* autis*
        bipolar blood_pressure cancer* chemo* cholesterol chronic* clinic* dementia depress* diabet* diagnos*
        disab* disease* doctor* epilep* hiv hospital* ill illness* infect* insulin ivf medicat* medicine*
        menopaus* migraine* miscarr* ocd overdose* panic_attack* parkinson* patient physiotherap* pill pills
        pregnan* prescri* psychiatr* psycholog* psychosis ptsd rehab* schizophren* seizure* sick sickness
        suicid* surger* surgeon* symptom* syndrome* therap* tumor* tumour* vaccin* wheelchair krank* arzt ärztin
        krebs schwanger* behinder* malad* enceinte médecin grossesse enferm* embarazad* médico cáncer
    """,
    "religion": """
        agnostic* atheis* baptis* bible buddhis* catholic* christian* church* faith halal hindu* imam islam* jew
        jews jewish judaism koran kosher mosque* muslim* orthodox parish pastor pray prayer* praying priest*
        protestant* quran ramadan religio* sikh* synagogue* torah kirche moschee gläubig* église mosquée iglesia
        mezquita
    """,
    "politics": """
        activism activist* ballot* communis* conservative* democrat democrats fascis* labour_party liberal
        liberals political* politics protest* republican* socialis* trade_union* union_member* vote voted voter*
        voting partei gewerkschaft* syndicat sindicato
    """,
    "sexuality": """
        abortion* asexual* bisexual* closeted contracepti* gay genderfluid heterosexual* homosexual* lesbian*
        lgbt* libido non-binary nonbinary pansexual* queer sex sexual* transgender* schwul lesbisch
    """,
    "ethnicity": """
        african-american asylum* caste descent ethnic* immigrant* indigenous migrant* mixed-race native_american
        race racial* refugee* roma undocumented asyl* flüchtling*
    """,
    "money": """
        alimony bankrupt* bonus* credit_score* debt debts earn earned earning* earns foreclos* income* inherit*
        loan loans mortgage* net_worth overdraft* payday* pension* salary salaries savings wage wages gehalt
        schulden salaire dettes sueldo deudas
    """,
    "crime": """
        arrest* bail convicted conviction* court_date* criminal_record* felon* indict* jail* lawsuit* parole
        police prison* probation prosecut* restraining_order* sentenced gefängnis vorbestraft cárcel
    """,
}


_WORD = re.compile(r"\w+")


class Privacy:
    """All of `scopes` and `classes` is private, as well as the memories that a user has marked."""

    def __init__(self, scopes: Collection[str] = (), classes: Collection[str] = ()) -> None:
        self.scopes, self.classes = frozenset(scopes), tuple(classes)
        stems = [stem.replace("_", " ") for name in classes for stem in CLASSES[name].split()]
        words = [stem for stem in stems if _WORD.fullmatch(stem.removesuffix("*"))]
        self._words = frozenset(stem for stem in words if not stem.endswith("*"))
        self._begins = tuple(stem.removesuffix("*") for stem in words if stem.endswith("*"))
        self._phrases = tuple(stem.removesuffix("*") for stem in stems if stem not in words)

    def keeps(self, space: Space, memory: Memory) -> bool:
        """Whether it must stay with the operator."""
        return memory.private or self.keeps_text(space, memory.text)

    def keeps_turn(self, turn: Turn) -> bool:
        return self.keeps_text(turn.space, turn.user_text)

    def keeps_text(self, space: Space, text: str) -> bool:
        return space.scope in self.scopes or (bool(self._begins) and self._is_about(text.lower()))

    def _is_about(self, text: str) -> bool:
        words = set(_WORD.findall(text))
        return (
            not words.isdisjoint(self._words)
            or any(word.startswith(self._begins) for word in words)
            or any(phrase in text for phrase in self._phrases)
        )
