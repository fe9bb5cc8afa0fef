"""Finds the deployments for a model name, from a `model_list` in LiteLLM's format."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import cycle
from typing import Any, Generic, TypeVar

from rememberd.errors import ConfigError, RequestError
from rememberd.types import Deployment, Principal
from rememberd.upstream import ollama
from rememberd.upstream.client_keys import with_client_key
from rememberd.upstream.model_list import Params, UnknownProviderError, deployment, ignored_params, read_entry
from rememberd.upstream.providers import default_key, infer

T = TypeVar("T")

_DEFAULTS = (
    *("openai", "anthropic", "gemini", "openrouter", "groq", "mistral", "deepseek", "xai", "cerebras"),
    *("fireworks_ai", "moonshot", "nvidia_nim", "perplexity", "together_ai"),
)

log = logging.getLogger("rememberd.upstream")


class RoundRobin(Generic[T]):
    """Entries of one name, in rotation: `next` begins with another entry each time."""

    def __init__(self, entries: Sequence[T]) -> None:
        self.entries = tuple(entries)
        self._first = cycle(range(len(self.entries)))

    def next(self) -> tuple[T, ...]:
        first = next(self._first)
        return self.entries[first:] + self.entries[:first]


class Catalog:
    """The configured models. Several entries of one name take turns. `aliases` are other names of models. `fallbacks`
    (in LiteLLM's format, a list of `{name: [names]}`) are used if all deployments of a name fail.

    Raises `ConfigError` that names the entry. A value `os.environ/NAME` is read from `environ`; only an `api_key` may
    be missing there. A provider's key from the environment is used only for its default address: an entry with an
    `api_base` must name its key."""

    def __init__(
        self,
        model_list: Sequence[Mapping[str, Any]],
        environ: Mapping[str, str],
        aliases: Mapping[str, str] | None = None,
        fallbacks: Sequence[Mapping[str, Sequence[str]]] | None = None,
    ) -> None:
        self._environ = environ
        exact: dict[str, list[Deployment]] = {}
        wild: dict[str, list[Params]] = {}
        idle: dict[str, list[str]] = {}
        for number, entry in enumerate(model_list):
            name, params = read_entry(entry, f"model_list[{number}]", environ)
            try:
                found = deployment(name, params, environ)
            except ConfigError as error:
                if "*" not in name or not isinstance(error, UnknownProviderError):
                    raise ConfigError(f"model_list: {name}: {error}") from None
                found = None
            for each in ignored_params(params, found):
                idle.setdefault(each, []).append(name)
            if "*" in name:
                wild.setdefault(name, []).append(params)
            elif found is not None:
                exact.setdefault(name, []).append(found)
        self._ignored = idle
        self._exact = {name: RoundRobin(deployments) for name, deployments in exact.items()}
        longest_first = sorted(wild, key=len, reverse=True)
        self._wild = [(_pattern(name), RoundRobin(wild[name])) for name in longest_first]
        self._wildcards = list(wild)
        self._aliases = dict(aliases or {})
        self._fallbacks = _fallbacks(fallbacks or ())
        self._check("aliases", self._aliases.values())
        self._check("fallbacks", (other for others in self._fallbacks.values() for other in others))

    def reload(self, other: Catalog) -> None:
        """Replace all models with those of `other`."""
        self.__dict__.update(other.__dict__)

    def ignored(self) -> str:
        """A message for the operator: the parameters that have no effect, and their entries; "" if there are none."""
        if not self._ignored:
            return ""
        listed = [f"{name} ({', '.join(dict.fromkeys(models))})" for name, models in sorted(self._ignored.items())]
        return f"litellm_params without effect here: {'; '.join(listed)}"

    def warn_of_ignored(self) -> None:
        if ignored := self.ignored():
            log.warning("%s", ignored)

    def names(self) -> list[str]:
        """The model names without wildcards, in the order of the list, aliases last."""
        return list(dict.fromkeys([*self._exact, *self._aliases]))

    def wildcards(self) -> list[str]:
        """The patterns, such as `openai/*`: clients may request any name that matches."""
        return list(self._wildcards)

    def targets(self, model: str, principal: Principal) -> list[Deployment]:
        """The deployments that can answer, in the order to try them: those of that name, then those of its fallbacks.

        Raises `RequestError`: 403 for a model that this key may not use, 404 for an unknown model."""
        model = self._tagged(model)
        if not principal.may_ask(model):
            message = f"this key may not use {model!r}; GET /v1/models lists the models that it may use"
            raise RequestError(403, "model_not_allowed", message, param="model")
        name = self._aliases.get(model, model)
        found = [*self._deployments(name)]
        for other in self._fallbacks.get(name, ()):
            if principal.may_ask(other):
                found += self._deployments(other)
        key = principal.upstream_key
        return found if key is None else [with_client_key(each, key) for each in found]

    def resolve(self, model: str) -> Deployment:
        """The next deployment of that name. Raises `RequestError` 404."""
        return self._deployments(self._aliases.get(model, model))[0]

    def candidates(self, model: str) -> list[Deployment]:
        """All deployments of this name, without its fallbacks. Does not change the rotation. Raises `RequestError`
        404."""
        return list(self._deployments(self._aliases.get(model, model), takes_turn=False))

    def sole_deployment(
        self, principal: Principal, accepts: Callable[[Deployment], bool] = lambda each: True
    ) -> Deployment | None:
        """A deployment, if all models that `accepts` selects have the same provider, address and key. None if they
        differ, or if this key may use only certain models."""
        if principal.models is not None:
            return None
        found = [each for name in (*self._exact, *self._wildcards) if accepts(each := self.resolve(name))]
        places = {(each.provider, each.api_base, each.api_key) for each in found}
        if len(places) != 1:
            return None
        return found[0] if principal.upstream_key is None else with_client_key(found[0], principal.upstream_key)

    def provider_keys(self, principal: Principal) -> set[str]:
        """The `provider_key` of every deployment that may answer this principal."""
        return {provider_key(each) for each in self.reachable(principal)}

    def reachable(self, principal: Principal) -> list[Deployment]:
        """Every deployment that may answer this principal. A pattern in the principal's models is assumed to match
        every wildcard."""
        models = principal.models or ("*",)
        names = [name for name in self.names() if principal.may_ask(name)]
        names += [name for name in models if not _is_pattern(name)]
        names += self._wildcards if any(_is_pattern(name) for name in models) else []
        found: list[Deployment] = []
        for name in names:
            try:
                found += self.candidates(self._tagged(name))
            except RequestError:  # a key may list models that are no longer configured
                continue
        return found

    def _tagged(self, model: str) -> str:
        """The listed name of `model`: for Ollama's clients, NAME and NAME:latest are the same."""
        if model in self._exact:
            return model
        other = model.removesuffix(":latest") if model.endswith(":latest") else f"{model}:latest"
        listed = (self._exact, self._aliases)
        return other if not any(model in each for each in listed) and any(other in each for each in listed) else model

    def _deployments(self, model: str, *, takes_turn: bool = True) -> tuple[Deployment, ...]:
        """The deployments of the exact name, else of the longest matching wildcard, else of the wildcard that matches
        the name with its provider's prefix."""
        if model in self._exact:
            return self._exact[model].next() if takes_turn else self._exact[model].entries
        family = infer(model)
        for asked in (model, f"{family}/{model}") if family else (model,):
            for pattern, entries in self._wild:
                if match := pattern.fullmatch(asked):
                    found = entries.next() if takes_turn else entries.entries
                    return tuple(self._fill(model, match, params) for params in found)
        raise self._not_found(model)

    def _check(self, setting: str, names: Iterable[Any]) -> None:
        for name in names:
            if not isinstance(name, str):
                raise ConfigError(f"{setting}: {name!r} is not the name of a model")
            try:
                self._deployments(name)
            except RequestError as error:
                raise ConfigError(f"{setting}: {error.message}") from None

    def _fill(self, model: str, match: re.Match[str], params: Params) -> Deployment:
        try:
            return deployment(model, {**params, "model": _substitute(params["model"], match)}, self._environ)
        except ConfigError:
            raise self._not_found(model) from None

    def _not_found(self, model: str) -> RequestError:
        near = get_close_matches(model, [*self._exact, *self._wildcards], n=3, cutoff=0.4)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        message = f"There is no model {model!r} here.{hint} GET /v1/models lists all models."
        return RequestError(404, "model_not_found", message, param="model")


def defaults(environ: Mapping[str, str], ollama_models: Sequence[str]) -> list[dict[str, Any]]:
    """The `model_list` if the settings have none: each provider whose key is in the environment, and Ollama's
    models."""
    wanted = [provider for provider in _DEFAULTS if default_key(provider, environ)]
    if "openai" not in wanted and environ.get("OPENAI_BASE_URL"):
        wanted.insert(0, "openai")
    entries = [(f"{provider}/*", f"{provider}/*") for provider in wanted]
    here = {"local": ollama.is_here(environ)}
    listed = [(name, model, dict[str, bool]()) for name, model in entries]
    listed += [(name, f"ollama_chat/{name}", here) for name in ollama_models]
    return [
        {"model_name": name, "litellm_params": {"model": model}, "model_info": info} for name, model, info in listed
    ]


def provider_key(deployment: Deployment) -> str:
    """Identifies the account at a provider: its key, or its address if there is no key."""
    return deployment.api_key or deployment.api_base or deployment.provider


def expand_wildcard(wildcard: str, target: str, names: Sequence[str]) -> list[str]:
    """The names that match `wildcard` and are sent to the provider as one of its `names`. `target` is the pattern of
    the provider's names; without the same number of stars, no names are known."""
    if wildcard.count("*") != target.count("*"):
        return []
    matches = (_pattern(target).fullmatch(name) for name in names)
    return [_substitute(wildcard, match) for match in matches if match]


def _fallbacks(given: Sequence[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in given:
        if not isinstance(each, Mapping) or not all(isinstance(others, list) for others in each.values()):
            raise ConfigError(f"fallbacks: {each!r} is not of the form {{name: [other, names]}}")
        found |= each
    return found


def _is_pattern(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\*", "(.*)"))


def _substitute(target: str, match: re.Match[str]) -> str:
    """LiteLLM's rule: each star of the target is replaced by the text that the name's star matched. A target with too
    few stars is replaced by the whole name."""
    if "*" not in target:
        return target
    if len(match.groups()) > target.count("*"):
        return match.string
    for found in match.groups():
        target = target.replace("*", found, 1)
    return target
