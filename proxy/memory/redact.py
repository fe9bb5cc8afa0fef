"""Secrets out of a text before it is kept.

A table of shapes; where the shape alone is not enough, a check (card numbers by Luhn, IBANs by modulo 97, spoken
passwords by what follows). Deterministic, idempotent, linear in the text: every repetition is bounded.
"""
# ruff: noqa: E501  a row of the table stays on its line

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple


class Redacted(NamedTuple):
    """`counts`: how many of each kind were replaced, e.g. {"OpenAI key": 1}."""

    text: str
    counts: dict[str, int]


class _Shape(NamedTuple):
    """`pattern` finds the secret, in its group `secret` if only a part of the match is one."""

    kind: str
    pattern: re.Pattern[str]
    check: Callable[[str], bool] | None = None


def redact(text: str) -> Redacted:
    """Each secret becomes "[redacted: KIND]"; redacting the result again changes nothing."""
    counts: dict[str, int] = {}
    for shape in _SHAPES:
        text = shape.pattern.sub(partial(_replaced, shape=shape, counts=counts), text)
    return Redacted(text, counts)


def _replaced(found: re.Match[str], *, shape: _Shape, counts: dict[str, int]) -> str:
    group = "secret" if "secret" in shape.pattern.groupindex else 0
    secret = found[group]
    if "[redacted" in secret or (shape.check and not shape.check(secret)):
        return found[0]
    counts[shape.kind] = counts.get(shape.kind, 0) + 1
    start, end = found.start(group) - found.start(), found.end(group) - found.start()
    return f"{found[0][:start]}[redacted: {shape.kind}]{found[0][end:]}"


def _shape(kind: str, pattern: str, check: Callable[[str], bool] | None = None) -> _Shape:
    return _Shape(kind, re.compile(pattern), check)


def luhn(number: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1)."""
    digits = [int(each) for each in number if each.isdigit()]
    doubled = (sum(divmod(2 * each, 10)) for each in digits[-2::-2])
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban(number: str) -> bool:
    """The check digits of an IBAN (ISO 13616: modulo 97 is 1)."""
    plain = "".join(number.split()).upper()
    return 15 <= len(plain) <= 34 and int("".join(str(int(each, 36)) for each in plain[4:] + plain[:4])) % 97 == 1


def _secret_like(word: str) -> bool:
    """What follows "my password is": not a plain word of a sentence, unless it is in quotes."""
    bare = word.strip("\"'`“”‘’.,;:!")
    return word != word.strip("\"'`“”‘’") or bare.casefold() not in _PLAIN.split()


_PLAIN = (
    "wrong not too very weak strong safe secure lost forgotten expired invalid incorrect empty required missing reset "
    "correct the a an in on at to so still now my that this it what never always also being longer short hashed stored "
    "saved encrypted changed different unknown visible hidden blank case-sensitive compromised leaked stolen falsch "
    "nicht vergessen zu weg sicher abgelaufen incorrecto incorrecta muy demasiado oublié perdu incorrect trop faux feil "
    "ikke glemt no não errada sbagliata scaduta vergeten niet and or for from of with managers manager is are was"
)
_SPOKEN = (
    r"(?:passwor[dt]|passwd|passphrase|passcode|pwd|pw|pin(?:[ -]?code)?|passwort|kennwort|mot de passe|mdp|contraseña|clave|senha"
    r"|passord|adgangskode|lösenord|wachtwoord|hasło|пароль|parola|salasana)"
)
_IS = r"(?:\s{0,3}[:=]\s{0,3}|\s{1,3}(?:is|ist|lautet|est|es|é|è|er|är|to)\s{1,3}(?:now\s{1,3}|set\s{1,3}to\s{1,3})?[:=]?\s{0,3})"

# fmt: off
_SHAPES: tuple[_Shape, ...] = (
    _shape("private key", r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:(?:\s|\\n){0,4}(?:[A-Z][\w-]{2,20}: [^\n]{1,80}|[A-Za-z0-9+/=]{16,9999})){0,2000}(?:(?:\s|\\n){0,4}[A-Za-z0-9+/=]{0,64}(?:\s|\\n){0,4}-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?"),
    _shape("connection string password", r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:/@\[\]]{0,80}:(?P<secret>[^\s/@]{1,200})@(?=[\w.\[-])"),
    _shape("Anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{20,200}"),
    _shape("OpenRouter key", r"\bsk-or-v1-[a-f0-9]{40,80}"),
    _shape("OpenAI key", r"\bsk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{20,200}", lambda key: any(map(str.isdigit, key))),
    _shape("AWS key id", r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z2-7]{16}\b"),
    _shape("AWS secret", r"(?i:aws.{0,20}(?:secret|key).{0,20}?[\s:=\"']{1,6})(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"),
    _shape("Google key", r"\bAIza[A-Za-z0-9_-]{35}\b|\bya29\.[A-Za-z0-9_-]{20,400}|\bGOCSPX-[A-Za-z0-9_-]{28}"),
    _shape("GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{60,255}\b"),
    _shape("GitLab token", r"\bgl(?:pat|dt|rt|ptt|cbt|oas|soat)-[A-Za-z0-9_.-]{20,100}"),
    _shape("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}|\bxapp-\d-[A-Za-z0-9-]{10,250}"),
    _shape("Slack webhook", r"https://hooks\.slack\.com/(?:services|workflows)/(?P<secret>[A-Za-z0-9/_+-]{20,120})"),
    _shape("Discord webhook", r"https://(?:\w{1,10}\.)?discord(?:app)?\.com/api/webhooks/\d{10,25}/(?P<secret>[\w-]{40,100})"),
    _shape("Stripe key", r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,200}|\bwhsec_[A-Za-z0-9]{24,100}"),
    _shape("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,60}\b"),
    _shape("npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    _shape("PyPI token", r"\bpypi-[A-Za-z0-9_-]{50,300}"),
    _shape("SendGrid key", r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,64}"),
    _shape("Twilio key", r"\bSK[0-9a-f]{32}\b|(?i:twilio.{0,30}?)(?<![0-9a-f])(?P<secret>[0-9a-f]{32})\b"),
    _shape("Mailgun key", r"\bkey-[0-9a-f]{32}\b"),
    _shape("Telegram bot token", r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b"),
    _shape("DigitalOcean token", r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    _shape("Databricks token", r"\bdapi[a-f0-9]{32}\b"),
    _shape("Shopify token", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b"),
    _shape("Groq key", r"\bgsk_[A-Za-z0-9]{40,60}\b"),
    _shape("xAI key", r"\bxai-[A-Za-z0-9]{60,100}\b"),
    _shape("Perplexity key", r"\bpplx-[A-Za-z0-9]{40,60}\b"),
    _shape("Azure key", r"(?i:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/]{40,100}={0,2})"),
    _shape("JWT", r"\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{0,1000}"),
    _shape("bearer token", r"(?i:\bauthorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:bearer|basic|token)\s{1,3}|\bbearer\s{1,3})(?P<secret>[A-Za-z0-9._~+/=-]{16,2000})", lambda token: any(map(str.isdigit, token))),
    _shape("secret", r"(?i:\b(?:api[ _-]?key|secret[ _-]?key|access[ _-]?token|auth[ _-]?token|client[ _-]?secret|private[ _-]?token)[\"']?(?:\s{0,3}[:=]\s{0,3}|\s{1,3}is\s{1,3})[\"'`]?)(?P<secret>[A-Za-z0-9._~+/=-]{12,500})", lambda key: any(map(str.isdigit, key))),
    _shape("password", rf"(?i:(?<![\w-]){_SPOKEN}(?:\s(?:for|til|für|para|pour)\s[\w .]{{1,30}}?)?[\"']?{_IS})(?P<secret>(?!\[redacted|[{{$<])\S{{3,128}})", _secret_like),
    _shape("password", rf"(?i:\b(?:log ?in|sign in|use)\b.{{0,40}}\b{_SPOKEN}\s{{1,3}})(?P<secret>(?=\S{{0,60}}\d)(?!\[redacted)\S{{4,64}})"),
    _shape("card number", r"(?<![\w.,-])[2-6](?:\d{12,18}|\d{3}(?P<gap>[ -])\d{4}(?P=gap)\d{4}(?P=gap)\d{1,7}|\d{3}[ -]\d{6}[ -]\d{5})(?![\w-]|[.,]\d)", luhn),
    _shape("IBAN", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", iban),
)
# fmt: on
