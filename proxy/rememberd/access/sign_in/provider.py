"""The OpenID provider: its metadata and signing keys, and the checks of its codes and tokens.

Imported only if sign-in is set up: the libraries take 0.2 s and 30 MB."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwk, jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyIdError,
    JoseError,
    MissingClaimError,
)

from rememberd.errors import RequestError

log = logging.getLogger("rememberd.sign_in")
logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line for every request otherwise

# Only asymmetric ones: only the provider can make such a signature (RFC 8725, 3.1 and 3.2).
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
CLOCK_SKEW_SECONDS = 60
_TIMEOUT_SECONDS = 10.0
_FRESH_SECONDS = 300.0  # then the keys are fetched again, so that a withdrawn key becomes invalid
_USABLE_SECONDS = 3600.0  # known keys are used for so long if they cannot be fetched again
_PAUSE_SECONDS = 10.0  # between two fetches, even if tokens name unknown keys


class OpenIdProvider:
    """Each method raises `RequestError`: 503 while the provider does not answer, 401 for an invalid token."""

    clock_skew_ms = CLOCK_SKEW_SECONDS * 1000

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        scopes: list[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer, self.client_id, self.client_secret, self.scopes = issuer, client_id, client_secret, scopes
        self._clock = clock
        self._http: httpx2.AsyncClient | None = None
        self._metadata: dict[str, Any] | None = None
        self._keys: jwk.KeySet | None = None
        self._fetched = self._tried = -math.inf
        self._one_at_a_time = asyncio.Lock()

    async def authorization_url(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        metadata = await self.metadata()
        async with self._client(metadata, redirect_uri) as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        return str(url)

    async def claims_of_code(self, redirect_uri: str, code: str, nonce: str, verifier: str) -> dict[str, Any]:
        """The claims of the ID token for `code`. Raises `RequestError` 400 if the provider refuses the code."""
        metadata = await self.metadata()
        try:
            async with self._client(metadata, redirect_uri) as client:
                token = await client.fetch_token(
                    metadata["token_endpoint"], code=code, code_verifier=verifier, grant_type="authorization_code"
                )
        except OAuthError as error:
            log.warning("the provider refused a code: %s", error)
            raise RequestError(400, "sign_in_refused", "the provider refused this sign-in: sign in again") from error
        except (httpx2.HTTPError, ValueError) as error:
            raise _unavailable(error) from error
        claims = await self._claims(str(token.get("id_token", "")), self.client_id)
        if claims.get("nonce") != nonce:
            raise invalid_token("it belongs to another sign-in")
        if claims.get("azp", self.client_id) != self.client_id:
            raise invalid_token("it was made for another client")
        return claims | await self._user_info(metadata, token, claims)

    async def claims_of_access_token(self, token: str, audience: str) -> dict[str, Any]:
        """Raises `RequestError` 401, also for an ID token: it identifies a user but gives no permission."""
        claims = await self._claims(token, audience)
        if {"nonce", "at_hash", "c_hash"} & claims.keys() or "ID" in (claims.get("typ"), claims.get("token_use")):
            raise invalid_token("it is an ID token; send an access token")
        return claims

    async def end_session_url(self, back: str) -> str | None:
        """The provider's address for signing out; None if it has none."""
        endpoint = (await self.metadata()).get("end_session_endpoint")
        if endpoint is None:
            return None
        return str(httpx2.URL(endpoint, params={"client_id": self.client_id, "post_logout_redirect_uri": back}))

    async def metadata(self) -> dict[str, Any]:
        """The metadata of OpenID Connect Discovery 1.0; read once."""
        if self._metadata is None:
            found = await self._json(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.issuer:
                raise _unavailable(f"its issuer is {found.get('issuer')!r}, but sign_in.issuer is {self.issuer!r}")
            self._metadata = found
        return self._metadata

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def _client(self, metadata: Mapping[str, Any], redirect_uri: str) -> Any:
        offered = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        method = "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"
        return AsyncOAuth2Client(
            self.client_id,
            self.client_secret,
            token_endpoint_auth_method=method if self.client_secret else "none",
            scope=" ".join(self.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=_TIMEOUT_SECONDS,
        )

    async def _user_info(
        self, metadata: Mapping[str, Any], token: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> dict[str, Any]:
        """More claims of the same subject, because some providers list groups only there. Empty if the provider has
        no such endpoint."""
        endpoint, access_token = metadata.get("userinfo_endpoint"), token.get("access_token")
        if endpoint is None or access_token is None:
            return {}
        found = await self._json(endpoint, {"Authorization": f"Bearer {access_token}"})
        if found.get("sub") != claims.get("sub"):
            raise invalid_token("the provider's user info is about somebody else")
        return {name: value for name, value in found.items() if name not in claims}

    async def _claims(self, token: str, audience: str) -> dict[str, Any]:
        """The claims of a token that the issuer has signed for `audience` and that has not expired."""
        keys = await self._signing_keys(_FRESH_SECONDS)
        try:
            found = _decoded(token, keys)
            if found is None:  # signed with a new key, or with a key that is not the provider's
                found = _decoded(token, await self._signing_keys(_PAUSE_SECONDS))
            if found is None:
                raise invalid_token("it is not signed by the provider")
            _rules(self.issuer, audience).validate(found)
        except ExpiredTokenError as error:
            raise invalid_token("it has expired: get a new one") from error
        except (InvalidClaimError, MissingClaimError) as error:
            raise invalid_token(f"its claim `{error.claim}` is missing or not the expected one") from error
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise invalid_token("it is not a signed token of the provider") from error
        return found

    async def _signing_keys(self, not_older_seconds: float) -> jwk.KeySet:
        if self._keys is not None and self._clock() - self._fetched <= not_older_seconds:
            return self._keys  # valid tokens do not wait for a fetch that an unknown key id has caused
        async with self._one_at_a_time:
            now = self._clock()
            if now - self._fetched > not_older_seconds and now - self._tried > _PAUSE_SECONDS:
                self._tried = now
                try:
                    self._keys = _key_set(await self._json((await self.metadata())["jwks_uri"]))
                    self._fetched = now
                except RequestError:
                    log.warning("the provider's keys cannot be fetched; the known keys are used for an hour")
            if self._keys is None or now - self._fetched > _USABLE_SECONDS:
                raise _unavailable("its signing keys are not known")
            return self._keys

    async def _json(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        self._http = self._http or httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS)
        try:
            response = await self._http.get(url, headers=headers)
            found = response.raise_for_status().json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise _unavailable(error) from error
        if not isinstance(found, dict):
            raise _unavailable(f"{url} is not a JSON object")
        return found


def _decoded(token: str, keys: jwk.KeySet) -> dict[str, Any] | None:
    """The claims; None if they are not signed by one of `keys`. Raises `JoseError`, `ValueError`."""
    try:
        return dict(jwt.decode(token, keys, algorithms=ALGORITHMS).claims)
    except (InvalidKeyIdError, BadSignatureError):
        return None


def _rules(issuer: str, audience: str) -> jwt.JWTClaimsRegistry:
    return jwt.JWTClaimsRegistry(
        leeway=CLOCK_SKEW_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        sub={"essential": True},
        exp={"essential": True},
    )


def _key_set(document: Mapping[str, Any]) -> jwk.KeySet:
    """The public keys that we can use; a provider may also list unknown kinds of keys."""
    keys = []
    for each in document.get("keys", []):
        try:
            if each.get("kty") != "oct" and each.get("use", "sig") == "sig":
                keys.append(jwk.import_key(each))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            log.info("a key of the provider is not used: %s", error)
    return jwk.KeySet(keys)


def invalid_token(why: str) -> RequestError:
    return RequestError(401, "invalid_token", f"the token is not accepted: {why}")


def _unavailable(why: object) -> RequestError:
    """Only the log has the reason, because it may contain an address."""
    log.warning("the sign-in provider does not answer correctly: %s", why)
    message = "the sign-in provider does not answer correctly; try again in a moment, API keys still work"
    return RequestError(503, "sign_in_unavailable", message, retry_after=5)
