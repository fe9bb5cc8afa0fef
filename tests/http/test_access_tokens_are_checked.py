"""An access token opens something only if the issuer signed it for this API and it has not expired."""

from __future__ import annotations

import asyncio
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator

import pytest
from joserfc import jwk

from rememberd.access.auth import Auth
from rememberd.access.sign_in.provider import OpenIdProvider
from rememberd.access.signed_in import ClaimRules
from rememberd.errors import RequestError
from tests.support.token_issuer import AUDIENCE, TokenIssuer, issuing, new_key


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with issuing() as issuer:
        yield issuer


class Clock:
    """Seconds, which only a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def provider(issuer: TokenIssuer, clock: Clock) -> AsyncIterator[OpenIdProvider]:
    provider = OpenIdProvider(issuer.issuer, "rememberd", None, ["openid"], clock)
    yield provider
    await provider.close()


async def refused(provider: OpenIdProvider, token: str) -> str:
    """The reason for which the token is refused; empty if it is accepted."""
    try:
        await provider.claims_of_access_token(token, AUDIENCE)
    except RequestError as error:
        return error.message if error.status == 401 else ""
    return ""


def forged_hs256(issuer: TokenIssuer) -> str:
    """With the issuer's public key as the secret: libraries refuse to make it, so it is made by hand."""
    head = urlsafe_b64encode(b'{"alg":"HS256","kid":"first"}').decode().rstrip("=")
    signed = f"{head}.{issuer.token().split('.')[1]}"
    tag = hmac.digest(issuer.keys[0].as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(tag).decode().rstrip('=')}"


async def test_a_good_token_is_accepted(issuer: TokenIssuer, provider: OpenIdProvider) -> None:
    """With several audiences, and within the clock skew, too."""
    now = int(time.time())
    for claims in (
        {},
        {"aud": ["other", AUDIENCE]},
        {"exp": now - 30},
        {"nbf": now + 30, "iat": now + 30},
    ):
        assert await refused(provider, issuer.token(**claims)) == "", claims


async def test_every_bad_token_is_refused(issuer: TokenIssuer, provider: OpenIdProvider) -> None:
    """Expired, for somebody else, by somebody else, forged in each known way, or an ID token."""
    now, foreign = int(time.time()), new_key("first")
    good = issuer.token()
    head, body, signature = good.split(".")
    other = issuer.token(sub="bob").split(".")[1]
    unsigned = urlsafe_b64encode(b'{"alg":"none","kid":"first"}').decode().rstrip("=")
    bad: dict[str, str] = {
        "expired": issuer.token(exp=now - 120),
        "not yet good": issuer.token(nbf=now + 600),
        "never expires": issuer.token(exp=None),
        "expires in words": issuer.token(exp="tomorrow"),
        "another issuer": issuer.token(iss="https://id.example"),
        "an issuer that only begins so": issuer.token(iss=f"{issuer.issuer}/"),
        "no issuer": issuer.token(iss=None),
        "another audience": issuer.token(aud="payroll"),
        "other audiences": issuer.token(aud=["payroll", f"{AUDIENCE}2"]),
        "no audience": issuer.token(aud=None),
        "no subject": issuer.token(sub=None),
        "an ID token": issuer.token(nonce="n"),
        "an ID token with a hash": issuer.token(at_hash="h"),
        "an ID token that says so": issuer.token(typ="ID"),
        "another key of the same name": issuer.token(foreign),
        "an unknown key": issuer.token(new_key("unknown")),
        "the public key as a secret": forged_hs256(issuer),
        "no signature": f"{unsigned}.{body}.",
        "no algorithm, old signature": f"{unsigned}.{body}.{signature}",
        "another body": f"{head}.{other}.{signature}",
        "a cut signature": good[:-8],
        "a key that it brings itself": issuer.token(foreign, {"kid": None, "jwk": foreign.as_dict(private=False)}),
        "no token": "a.b.c",
        "nothing": "..",
    }
    assert {name for name, token in bad.items() if not await refused(provider, token)} == set()


async def test_keys_rotate(issuer: TokenIssuer, provider: OpenIdProvider, clock: Clock) -> None:
    """A new key is fetched when a token names it, but not more often than every ten seconds, so that strangers cannot
    cause many fetches. A withdrawn key is no longer accepted."""
    old = issuer.token()
    assert await refused(provider, old) == ""
    for made_up in range(20):
        assert await refused(provider, issuer.token(new_key(f"made up {made_up}")) if made_up < 2 else old[:-9])
    assert issuer.fetched == 1
    issuer.keys = [new_key("second")]
    clock.now += 11
    assert await refused(provider, issuer.token()) == ""
    assert await refused(provider, old)


async def test_a_good_token_does_not_wait_for_the_fetch_that_a_strangers_caused(
    issuer: TokenIssuer, provider: OpenIdProvider, clock: Clock
) -> None:
    """However long the provider takes."""
    assert await refused(provider, issuer.token()) == ""
    clock.now += 11
    issuer.asked.clear()
    issuer.answers.clear()
    stranger = asyncio.create_task(refused(provider, issuer.token(new_key("made up"))))
    assert await asyncio.to_thread(issuer.asked.wait, 60)
    async with asyncio.timeout(60):
        assert await refused(provider, issuer.token()) == ""
    assert not stranger.done()
    issuer.answers.set()
    assert await stranger


async def test_a_key_of_an_unknown_kind_disturbs_nobody(issuer: TokenIssuer, provider: OpenIdProvider) -> None:
    """A provider may publish keys for encryption, or of kinds that came later; a secret in there is no key."""
    shared = jwk.OctKey.generate_key(256, {"kid": "shared"})
    issuer.also = [{"kty": "LWE", "kid": "x"}, {"kid": "y"}, shared.as_dict(private=True)]
    assert await refused(provider, issuer.token()) == ""
    assert await refused(provider, issuer.token(shared, {"alg": "HS256"}))


async def test_known_keys_outlast_an_outage(issuer: TokenIssuer, provider: OpenIdProvider, clock: Clock) -> None:
    """They are used for an hour. Without any known key the answer is 503, and not that the token is bad."""
    issuer.down = True
    with pytest.raises(RequestError) as unknown:
        await provider.claims_of_access_token(issuer.token(), AUDIENCE)
    assert unknown.value.status == 503
    issuer.down = False
    clock.now += 11
    assert await refused(provider, issuer.token()) == ""
    issuer.down = True
    clock.now += 3590
    assert await refused(provider, issuer.token()) == ""
    clock.now += 20
    with pytest.raises(RequestError) as lost:
        await provider.claims_of_access_token(issuer.token(), AUDIENCE)
    assert lost.value.status == 503


def test_claims_name_the_user_their_groups_and_admins() -> None:
    """At any depth; a claim that is no usable name names nobody, and no text is taken for true."""
    rules = ClaimRules("sub", "realm.roles", "realm.roles=boss")
    found = rules.read({"sub": "ada", "realm": {"roles": ["boss", "", 3, "cooks"]}}, 1)
    assert (found.user, found.groups, found.admin) == ("ada", ("boss", "cooks"), True)
    assert ClaimRules("sub", "g", None).read({"sub": "ada", "g": "cooks"}, 1).groups == ("cooks",)
    assert (
        ClaimRules("sub", "https://x.example/g", "adm")
        .read({"sub": "ada", "https://x.example/g": ["cooks"], "adm": True}, 1)
        .admin
    )
    for claims in ({"adm": "true"}, {"adm": 1}, {"adm": ["true"]}, {"boss": True}, {}):
        assert not ClaimRules("sub", "g", "adm").read({"sub": "ada"} | claims, 1).admin
    for nobody in ("", 5, ["ada"], "a\nb", "x" * 300, None):
        with pytest.raises(RequestError):
            rules.read({"sub": nobody}, 1)
    for verified in ({}, {"email_verified": False}, {"email_verified": "true"}):
        with pytest.raises(RequestError):
            ClaimRules("email", "g", None).read({"email": "ada@example.org"} | verified, 1)


def test_where_people_sign_in_nobody_comes_in_without_a_key() -> None:
    """There, a client's own provider key does not stand for one user."""
    auth = Auth({}, sign_in=True)
    auth.replace_made_keys({}, ever_made=False)
    with pytest.raises(RequestError):
        auth.principal({"host": "localhost"}, {})
    assert not auth.one_user
