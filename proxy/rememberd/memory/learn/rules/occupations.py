"""Is this word what somebody does for a living, or is it a name? Word lists for "I'm a …" and "I'm …"."""

import re

_OCCUPATIONS = (
    "accountant actor actress administrator advisor analyst animator apprentice architect archivist artist "
    "assistant astronomer attendant attorney auctioneer auditor author baker banker barber barista barman "
    "barrister bartender beekeeper biochemist blacksmith bookkeeper bookseller bricklayer broadcaster broker "
    "builder butcher buyer caregiver carer caretaker carpenter cashier cellist ceo cfo chaplain chef chemist "
    "chiropractor cinematographer cleaner clerk coach coder columnist comedian composer concierge conductor "
    "conservator consultant contractor controller cook coordinator cop copywriter coroner counsellor counselor "
    "courier cto curator dancer dealer decorator dentist designer dev developer dietician dietitian diplomat "
    "director dispatcher diver dj doctor doula draughtsman dressmaker driver economist editor educator "
    "electrician embroiderer engineer engraver entrepreneur estimator executive farmer filmmaker firefighter "
    "fireman fisherman fitter florist founder freelancer gardener geneticist geophysicist goldsmith grocer "
    "groomer groundskeeper guide hairdresser handyman harpist historian homemaker hotelier housekeeper "
    "housewife hygienist illustrator inspector instructor intern interpreter investigator investor jeweler "
    "jeweller jockey joiner journalist judge laborer labourer landscaper lawyer lecturer librarian lifeguard "
    "linguist locksmith logistician machinist magistrate maker manager marketer mason masseur mathematician "
    "mechanic mediator merchandiser metallurgist midwife miller miner minister model monk mover musician nanny "
    "naturalist nun nurse nutritionist officer operator optician optometrist organist orthodontist osteopath "
    "paediatrician painter pair paralegal paramedic pastor pathologist pediatrician percussionist performer "
    "pharmacist phd philosopher photographer physician physicist physio physiotherapist pianist pilot planner "
    "plasterer plumber podcaster podiatrist policeman policewoman politician porter postdoc postman potter "
    "presenter priest principal printer producer professor programmer prosecutor psychiatrist publisher rabbi "
    "radiographer ranger realtor receptionist recruiter reporter researcher restaurateur roofer sailor "
    "salesman salesperson saleswoman scientist screenwriter sculptor seamstress secretary server shepherd "
    "shopkeeper singer soldier solicitor sommelier specialist statistician steward stewardess strategist "
    "streamer student stylist superintendent supervisor surgeon surveyor sysadmin tailor teacher technician "
    "technologist tester therapist tiler toolmaker trader trainee trainer translator trucker tutor typist "
    "umpire undergrad undertaker underwriter upholsterer usher vet veteran veterinarian vicar vintner "
    "violinist violist waiter waitress warden watchmaker weaver welder winemaker woodworker worker writer "
    "youtuber zookeeper "
)
_ENDING = re.compile(r"\w{3,}(?:ologist|ographer|wright)$")
_NOT_NAMES = (
    "ready ok okay sure here done sorry fine good great glad happy back new late lost stuck tired "
    "busy right wrong not in on at batman superman spiderman god jesus santa german french english "
    "british american irish scottish welsh italian spanish norwegian swedish danish finnish dutch "
    "polish russian ukrainian greek turkish chinese japanese korean indian pakistani brazilian "
    "mexican canadian australian african european asian latino latina swiss austrian belgian "
    "portuguese czech hungarian romanian iranian israeli egyptian nigerian ghanaian kenyan jewish "
    "muslim christian catholic hindu buddhist republican democrat autistic adhd groot spartacus inigo "
    "clippy gandalf shrek dracula hamlet gollum pikachu"
)


def is_occupation(word: str) -> bool:
    word = word.casefold()
    return word in _OCCUPATIONS.split() or _ENDING.match(word) is not None


def is_given_name(words: str) -> bool:
    """A capitalised word that is no nationality, faith or mood, nor an acronym of more than three letters."""
    first = words.split()[0]
    if re.search(r"-[a-z]", words):
        return False
    return first.casefold() not in _NOT_NAMES.split() and not (first.isupper() and len(first) > 3)
