"""A real OpenID provider (Canaille, in memory) in a process of its own, and a browser without a window that signs in.

`python -m tests.support.openid_provider PORT` starts it. Everybody's password is their name and "-password".
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import urljoin

import httpx

from loadtests.servers import free_port
from tests.support.proxy_server import PATIENCE, eventually

GROUPS = {"kitchen": ("ada", "bob"), "admins": ("ada",)}
PEOPLE = ("ada", "bob", "cleo")


class Provider:
    """Its `issuer` is its address, too."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer

    def client(self, home: str) -> dict[str, Any]:
        """The table `sign_in` for a proxy that browsers reach at `home`: a new client of this provider."""
        asked = {
            "client_name": "rememberd",
            "client_uri": home,
            "redirect_uris": [f"{home}/signin/callback"],
            "post_logout_redirect_uris": [f"{home}/"],
            "scope": "openid profile email groups",
            "grant_types": ["authorization_code", "password"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_basic",
        }
        made = httpx.post(f"{self.issuer}/oauth/register", json=asked).raise_for_status().json()
        return {
            "issuer": self.issuer,
            "client_id": made["client_id"],
            "client_secret": made["client_secret"],
            "public_url": home,
            "scopes": ["openid", "profile", "email", "groups"],
            "audience": made["client_id"],
            "admin_claim": "groups=admins",
        }

    def access_token(self, client: Mapping[str, Any], user: str) -> str:
        """For a program of this person; `client` is what `self.client` returned."""
        asked = {"grant_type": "password", "username": user, "password": f"{user}-password", "scope": "openid groups"}
        auth = (client["client_id"], client["client_secret"])
        answer = httpx.post(f"{self.issuer}/oauth/token", data=asked, auth=auth).raise_for_status()
        return str(answer.json()["access_token"])


class Browser:
    """Keeps cookies, follows redirects, and fills in the provider's forms."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.http = httpx.Client(base_url=home, follow_redirects=True, timeout=PATIENCE)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exc: object) -> None:
        self.http.close()

    def begin(self) -> httpx.Response:
        """The provider's form, or, if it knows this browser, the page of the proxy."""
        return self.http.get("/signin")

    def sign_in(self, user: str) -> httpx.Response:
        """What the browser shows in the end."""
        shown = self.begin()
        for _ in range(4):
            if str(shown.url).startswith(self.home):
                return shown
            shown = self._submit(shown, {"login": user, "password": f"{user}-password", "answer": "accept"})
        raise AssertionError(f"the provider did not come to an end: {shown.url} {shown.text}")

    def session(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get("/signin/session").raise_for_status().json()
        return found

    def change(self, method: str, path: str, **options: Any) -> httpx.Response:
        """With the CSRF token, as the page sends it."""
        return self.http.request(method, path, headers={"X-CSRF-Token": self.session()["csrf_token"]}, **options)

    def _submit(self, page: httpx.Response, known: Mapping[str, str]) -> httpx.Response:
        form = re.search(r"<form\b([^>]*)>(.*?)</form>", page.text, re.DOTALL)
        assert form, f"no form at {page.url}: {page.text}"
        fields = {}
        for tag in re.findall(r"<(?:input|button)\b[^>]*>", form[2]):
            name, value = (re.search(rf'\b{each}="([^"]*)"', tag) for each in ("name", "value"))
            if name:
                fields[name[1]] = known.get(name[1]) or (unescape(value[1]) if value else "")
        action = re.search(r'\baction="([^"]*)"', form[1])
        return self.http.post(urljoin(str(page.url), unescape(action[1]) if action else ""), data=fields)


@contextmanager
def provider_running() -> Iterator[Provider]:
    port = free_port()
    argv = [sys.executable, "-W", "ignore", "-m", "tests.support.openid_provider", str(port)]
    issuer = f"http://localhost:{port}"
    with TemporaryFile("w+") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
        try:
            eventually(lambda: _answers(process, issuer, log))
            yield Provider(issuer)
        finally:
            process.kill()
            process.wait()


def _answers(process: subprocess.Popen[bytes], issuer: str, log: IO[str]) -> bool:
    if process.poll() is not None:
        log.seek(0)
        raise AssertionError(f"the OpenID provider did not start: {log.read()}")
    return httpx.get(f"{issuer}/.well-known/openid-configuration").status_code == 200


def serve(port: int) -> None:
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    from canaille import create_app
    from canaille.app import models
    from canaille.backends import Backend
    from joserfc.jwk import RSAKey
    from werkzeug.serving import run_simple

    key = RSAKey.generate_key(2048)
    key.ensure_kid()
    config = {
        "SECRET_KEY": "only for tests",
        "WTF_CSRF_ENABLED": False,
        "PREFERRED_URL_SCHEME": "http",
        "SERVER_NAME": f"localhost:{port}",
        "CANAILLE": {
            "DATABASE": "memory",
            "JAVASCRIPT": False,
            "ACL": {"DEFAULT": {"PERMISSIONS": ["use_oidc"]}},
            "LOGGING": None,
        },
        "CANAILLE_OIDC": {
            "DYNAMIC_CLIENT_REGISTRATION_OPEN": True,
            "TRUSTED_DOMAINS": ["localhost", "127.0.0.1"],
            "ACTIVE_JWKS": [key.as_dict(private=True)],
        },
    }
    app = create_app(config=json.loads(json.dumps(config)))
    with app.app_context():
        people = {name: _person(models, name) for name in PEOPLE}
        for each in people.values():
            Backend.instance.save(each)
        for name, members in GROUPS.items():
            Backend.instance.save(models.Group(display_name=name, members=[people[each] for each in members]))
    run_simple("127.0.0.1", port, app, threaded=True)


def _person(models: Any, name: str) -> Any:
    return models.User(
        user_name=name,
        formatted_name=name.title(),
        family_name=name.title(),
        emails=[f"{name}@example.org"],
        password=f"{name}-password",
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]))
