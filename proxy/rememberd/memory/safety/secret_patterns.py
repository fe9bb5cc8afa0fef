"""The shapes of secrets: keys and tokens of the usual providers, passwords in plain speech, cards and accounts.

A row is a kind and a pattern; where the pattern alone is not enough, a check (card numbers by Luhn, IBANs by modulo
97, spoken passwords by what follows). Every repetition is bounded, so that reading is linear in the text.
"""
# ruff: noqa: E501  a row of the table stays on its line

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from stdnum import iban as _iban
from stdnum import luhn as _luhn


class Shape(NamedTuple):
    """`pattern` finds the secret, in its group `secret` if only a part of the match is one. `named`: only beside the
    name of such a number, so that its digits may be grouped in any way."""

    kind: str
    pattern: re.Pattern[str]
    check: Callable[[str], bool] | None = None
    named: bool = False


def shape(kind: str, pattern: str, check: Callable[[str], bool] | None = None) -> Shape:
    return Shape(kind, re.compile(pattern), check)


def has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _card(number: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1)."""
    digits = "".join(filter(str.isdigit, number))
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and _luhn.is_valid(digits)


def _account(number: str) -> bool:
    """The check digits of an IBAN (ISO 13616: modulo 97 is 1)."""
    return bool(_iban.is_valid(number.replace("-", ""), check_country=False))


# How many characters an IBAN has, by country (SWIFT's IBAN registry): a longer match would take in the next word.
_IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
}  # fmt: skip
_IBAN = "|".join(
    rf"(?:{countries.replace(' ', '|')})\d{{2}}(?:[ -]?[A-Z0-9]){{{length - 4}}}"
    for length, countries in _IBAN_LENGTHS.items()
)


def _secret_like(word: str) -> bool:
    """What follows "my password is": not a plain word of a sentence, unless it is in quotes."""
    bare = word.strip("\"'`“”‘’.,;:!")
    return word != word.strip("\"'`“”‘’") or bare.casefold() not in _PLAIN.split()


_PLAIN = (
    "wrong not too very weak strong safe secure lost forgotten expired invalid incorrect empty required missing reset "
    "correct the a an in on at to so still now my that this it what never always also being longer short hashed stored "
    "saved encrypted changed different unknown visible hidden blank case-sensitive compromised leaked stolen falsch "
    "nicht vergessen zu weg sicher abgelaufen incorrecto incorrecta muy demasiado oublié perdu incorrect trop faux feil "
    "ikke glemt no não errada sbagliata scaduta vergeten niet and or for from of with managers manager is are was "
    "esta este esto esa ese questa questo quello diese dieser dieses jene celle celui ceci cela essa isso denne dette "
    "den det deze dit ta ten to эта этот это"
)
# Digit by digit or in pairs, where something stands between each two of them: see `View.with_hyphens`.
GROUPED: tuple[Shape, ...] = (
    shape("card number", r"(?<![\w-])[2-6](?:-\d){12,18}(?![\w-])", _card),
    shape("card number", r"(?<![\w-])[2-6]\d(?:-\d\d){6,8}(?:-\d)?(?![\w-])", _card),
)


def _phrase_like(phrase: str) -> bool:
    """What follows "my passphrase is": several words, not the beginning of a remark about it."""
    words = phrase.split()
    remark = (
        words[0].casefold() in ("too", "very", "not", "what", "a", "the", "in", "on", "at", "so", "to")
        if words
        else True
    )
    return not remark and (len(words) >= 4 or _secret_like(words[0]))


# Of several words, up to the end of the sentence.
_PHRASE = (
    r"(?:pass[ -]?phrases?|(?:seed|recovery|mnemonic)\s(?:phrase|words)|passphrase|wiederherstellungsphrase|phrase\s(?:secrète|de\spasse)"
    r"|frase\s(?:semilla|secreta|de\s(?:contraseña|recuperación|recuperação))|frase\s(?:segreta|di\srecupero)|wachtwoordzin|lösenfras(?:en)?"
    r"|passfrase(?:n)?|парольная\sфраза)"
)
_PIN = r"(?:pin(?:[ -]?(?:code|kode?n?|kod\w?|number|nummer))?|пин(?:-?код)?|geheimzahl|code\ssecret|codice\spin|pinkoden)"
# The word for it, with the endings and compounds that its language hangs on it.
_SPOKEN = (
    r"(?:passwor[dt]|passwd|passphrase|passcode|pwd|pw|passwort|kennwort|mot de passe|mdp|contraseña"
    r"|clave|senha|passord(?:et)?|adgangskode(?:n)?|lösenord(?:et)?|wachtwoord|hasło|пароль|parola(?:m)?|şifre(?:m|si)?|jelszó|heslo|salasana(?:ni)?)"
)
# What the secret opens, between its name and "is": "of my old router", "für das WLAN", "de la tarjeta".
_OF = (
    r"(?:\s(?:mitt?|min|mein\w{0,2}|for|to|of|from|til|für|zu[mr]?|vo[nm]|de(?:r|s|l|m)?|d[ou]|d[ae]s?|di|dell[ao]|para|pour"
    r"|on|auf|på|an|av|af|från|fra|van|voor|bij|от|для|к|na|do|od|z|w|dla|till)\b[^\n.!?:=\[]{0,40}?)?"
)
_IS = (
    r"(?:\s{0,3}[:=]\s{0,3}|\s{1,3}-\s{1,3}|'s\s{1,3}|\s{1,3}(?:is|was|are|ist|war|lautet|heißt|est|était|es|era|é|è|er|var|är|on|oli|to|jest|to\sjest|eto|это)\s{1,3}"
    r"(?:now\s{1,3}|set\s{1,3}to\s{1,3}|still\s{1,3})?[:=]?\s{0,3})"
)
_EAST = r"(?:密码|密碼|口令|パスワード|暗証番号|비밀번호|암호)\s{0,3}(?:是|は|는|은|이|:|：)\s{0,3}"
_QUOTED = r"\"[^\"\n]{3,128}\"|'[^'\n]{3,128}'|“[^”\n]{3,128}”|„[^“\n]{3,128}“|`[^`\n]{3,128}`"

# fmt: off
SECRETS: tuple[Shape, ...] = (
    shape("private key", r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:(?:\s|\\n){0,4}(?:[A-Z][\w-]{2,20}: [^\n]{1,80}|[A-Za-z0-9+/=]{16,9999})){0,2000}(?:(?:\s|\\n){0,4}[A-Za-z0-9+/=]{0,64}(?:\s|\\n){0,4}-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?"),
    shape("connection string password", r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:/@\[\]]{0,80}:(?P<secret>[^\s/@]{1,200})@(?=[\w.\[-])"),
    shape("Anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{20,200}"),
    shape("OpenRouter key", r"\bsk-or-v1-[a-f0-9]{40,80}"),
    shape("OpenAI key", r"\bsk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{20,200}", has_digit),
    shape("AWS key id", r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z2-7]{16}\b"),
    shape("AWS secret", r"(?i:aws.{0,20}(?:secret|key).{0,20}?[\s:=\"']{1,6})(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"),
    shape("Google key", r"\bAIza[A-Za-z0-9_-]{35}\b|\bya29\.[A-Za-z0-9_-]{20,400}|\bGOCSPX-[A-Za-z0-9_-]{28}"),
    shape("GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{60,255}\b"),
    shape("GitLab token", r"\bgl(?:pat|dt|rt|ptt|cbt|oas|soat)-[A-Za-z0-9_.-]{20,100}"),
    shape("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}|\bxapp-\d-[A-Za-z0-9-]{10,250}"),
    shape("Slack webhook", r"https://hooks\.slack\.com/(?:services|workflows)/(?P<secret>[A-Za-z0-9/_+-]{20,120})"),
    shape("Discord webhook", r"https://(?:\w{1,10}\.)?discord(?:app)?\.com/api/webhooks/\d{10,25}/(?P<secret>[\w-]{40,100})"),
    shape("Stripe key", r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,200}|\bwhsec_[A-Za-z0-9]{24,100}"),
    shape("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,60}\b"),
    shape("npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    shape("PyPI token", r"\bpypi-[A-Za-z0-9_-]{50,300}"),
    shape("SendGrid key", r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,64}"),
    shape("Twilio key", r"\bSK[0-9a-f]{32}\b|(?i:twilio.{0,30}?)(?<![0-9a-f])(?P<secret>[0-9a-f]{32})\b"),
    shape("Mailgun key", r"\bkey-[0-9a-f]{32}\b"),
    shape("Telegram bot token", r"(?<!\d)\d{8,10}:AA[A-Za-z0-9_-]{33}\b"),
    shape("DigitalOcean token", r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    shape("Databricks token", r"\bdapi[a-f0-9]{32}\b"),
    shape("Shopify token", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b"),
    shape("Linear key", r"\blin_(?:api|oauth)_[A-Za-z0-9]{40,64}\b"),
    shape("Notion token", r"\b(?:ntn|secret)_[A-Za-z0-9]{40,50}\b", has_digit),
    shape("Sentry token", r"\bsntry[su]_[A-Za-z0-9+/=_-]{40,300}"),
    shape("Grafana token", r"\bglsa_[A-Za-z0-9]{32}_[a-f0-9]{8}\b|\bglc_[A-Za-z0-9+/=]{40,400}"),
    shape("Docker token", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,60}"),
    shape("Postman key", r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}\b"),
    shape("Vault token", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,300}", has_digit),
    shape("New Relic key", r"\bNRAK-[A-Z0-9]{27}\b"),
    shape("Airtable token", r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b"),
    shape("Fly token", r"\bfo1_[A-Za-z0-9_-]{40,60}|\bfm[12][ar]?_[A-Za-z0-9+/=_-]{40,1000}"),
    shape("Supabase key", r"\bsbp_[a-f0-9]{40}\b"),
    shape("Replicate token", r"\br8_[A-Za-z0-9]{37}\b"),
    shape("age key", r"\bAGE-SECRET-KEY-1[A-Z0-9]{58}\b"),
    shape("Mailchimp key", r"\b[a-f0-9]{32}-us\d{1,2}\b"),
    shape("Square token", r"\bEAAA[A-Za-z0-9_-]{60}(?![A-Za-z0-9_-])"),
    shape("Facebook token", r"\bEAA[A-Za-z0-9]{80,400}"),
    shape("Groq key", r"\bgsk_[A-Za-z0-9]{40,60}\b"),
    shape("xAI key", r"\bxai-[A-Za-z0-9]{60,100}\b"),
    shape("Perplexity key", r"\bpplx-[A-Za-z0-9]{40,60}\b"),
    shape("Azure key", r"(?i:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/]{40,100}={0,2})"),
    shape("JWT", r"\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{0,1000}"),
    shape("bearer token", r"(?i:\bauthorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:bearer|basic|token)\s{1,3}|\bbearer\s{1,3})(?P<secret>[A-Za-z0-9._~+/=-]{16,2000})", has_digit),
    shape("secret", r"(?i:\b(?:api[ _-]?key|secret[ _-]?key|access[ _-]?token|auth[ _-]?token|client[ _-]?secret|private[ _-]?token)[\"']?(?:\s{0,3}[:=]\s{0,3}|\s{1,3}is\s{1,3})[\"'`]?)(?P<secret>[A-Za-z0-9._~+/=-]{12,500})", has_digit),
    shape("password", rf"(?i:(?<!\w){_PHRASE}{_OF}[\"']?{_IS})(?P<secret>{_QUOTED}|(?!\[redacted|[{{$<])(?:(?!\s(?:and|und|et|y|e|en|og|och|i)\s)[^\n.!?,;\[]){{3,200}})", _phrase_like),
    shape("password", r"(?i:(?<!\w)(?:пароль|пин(?:-?код)?|şifre\w{0,4}|parola\w{0,3})(?:\s[^\s:=]{1,20}){0,4}?\s)(?P<secret>(?=\S{0,60}\d)(?!\[redacted)\S{4,64}?)(?=[.!]?\s{0,3}(?:\n|\Z))"),
    shape("password", rf"(?i:(?<!\w){_PIN}{_OF}[\"']?{_IS})(?P<secret>[\"'“„]?(?!\[redacted)(?=\S{{0,20}}\d)\S{{3,32}})", _secret_like),
    shape("password", rf"(?i:(?<!\w){_SPOKEN}{_OF}[\"']?{_IS})(?P<secret>{_QUOTED}|(?!\[redacted|[{{$<])\S{{3,128}})", _secret_like),
    shape("password", rf"{_EAST}(?P<secret>(?=[!-~]{{0,60}}\d)(?!\[redacted)[!-~]{{4,64}})"),
    shape("password", r"(?i:(?<!\w)pass\s{0,3}[:=]\s{0,3})(?P<secret>(?=\S{0,60}\d)(?!\[redacted)\S{4,64})"),
    shape("password", rf"(?i:\b(?:log ?in|sign in|use)\b.{{0,40}}\b{_SPOKEN}\s{{1,3}})(?P<secret>(?=\S{{0,60}}\d)(?!\[redacted)\S{{4,64}})"),
    shape("card number", r"(?<![\w.,-])[2-6](?:\d{12,18}|\d{3}(?P<gap>[ -])\d{4}(?P=gap)\d{4}(?P=gap)\d{1,7}|\d{3}[ -]\d{6}[ -]\d{5})(?![\w-]|[.,]\d)", _card),
    shape("IBAN", rf"\b(?i:{_IBAN})(?![A-Za-z0-9])", _account),
)
# fmt: on
