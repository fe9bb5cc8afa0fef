"""From LiteLLM's `model_list` to the deployment that answers for a model name, and the lane that leads there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import cycle
from typing import Any, Generic, TypeVar

from rememberd.errors import ConfigError, RequestError
from rememberd.types import DIALECT_PATHS, Deployment, Principal
from rememberd.upstream import ollama
from rememberd.upstream.providers import OPENAI_COMPATIBLE, TRANSLATED, default_base, default_key, infer, speaks

Params = Mapping[str, Any]
T = TypeVar("T")

_REFERENCE = "os.environ/"
_ENDPOINTS = "supported_endpoints"  # LiteLLM keeps them in model_info
_LOCAL, _MEMORY = "local", "memory"  # ours, beside it
_TOLD = (_ENDPOINTS, _LOCAL, _MEMORY)
_READ_HERE = {"model", "api_base", "base_url", "api_key", "timeout", "extra_headers", "organization", *_TOLD}
_OF_THE_ROUTER = {"max_retries", "num_retries", "order", "rpm", "stream_timeout", "tags", "tpm", "weight"}
_TAKEN = _READ_HERE | _OF_THE_ROUTER | {"custom_llm_provider"}
_DEFAULTS = (
    *("openai", "anthropic", "gemini", "openrouter", "groq", "mistral", "deepseek", "xai", "cerebras"),
    *("fireworks_ai", "moonshot", "nvidia_nim", "perplexity", "together_ai"),
)


class RoundRobin(Generic[T]):
    """Entries of one name, each first in its turn."""

    def __init__(self, entries: Sequence[T]) -> None:
        self._entries = tuple(entries)
        self._first = cycle(range(len(self._entries)))

    def next(self) -> tuple[T, ...]:
        first = next(self._first)
        return self._entries[first:] + self._entries[:first]


class Catalog:
    """The configured models. Several entries of one name take turns; `aliases` are other names of models, `fallbacks`
    (in LiteLLM's format, a list of `{name: [names]}`) are asked when all of a name fail.

    Raises `ConfigError` that names the entry. A value `os.environ/NAME` is read from `environ`; only a key may be
    missing there. A key found in the environment is used for the provider's usual address only: an entry with an
    `api_base` of its own must name its key."""

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
        for number, entry in enumerate(model_list):
            name, params = _read(entry, f"model_list[{number}]", environ)
            if "*" in name:
                wild.setdefault(name, []).append(params)
            else:
                exact.setdefault(name, []).append(_named(name, params, environ))
        self._exact = {name: RoundRobin(found) for name, found in exact.items()}
        longest_first = sorted(wild, key=len, reverse=True)
        self._wild = [(_pattern(name), RoundRobin(wild[name])) for name in longest_first]
        self._wildcards = list(wild)
        self._aliases = dict(aliases or {})
        self._fallbacks = _fallbacks(fallbacks or ())
        self._check("aliases", self._aliases.values())
        self._check("fallbacks", (other for others in self._fallbacks.values() for other in others))

    def reload(self, other: Catalog) -> None:
        """Take over the models of `other`, all at once."""
        self.__dict__.update(other.__dict__)

    def names(self) -> list[str]:
        """The names that can be asked for as they stand, in the order of the list, aliases last."""
        return list(dict.fromkeys([*self._exact, *self._aliases]))

    def wildcards(self) -> list[str]:
        """The patterns, such as `openai/*`: any name that fits can be asked for."""
        return list(self._wildcards)

    def targets(self, model: str, principal: Principal) -> list[Deployment]:
        """Who can answer, in the order to ask them: the deployments of that name, then those of its fallbacks.

        Raises `RequestError` 403 for a model that this key may not use, 404 for one that is not there."""
        if not principal.may_ask(model):
            message = f"this key may not use {model!r}; GET /v1/models lists what it may"
            raise RequestError(403, "model_not_allowed", message, param="model")
        name = self._aliases.get(model, model)
        others = [other for other in self._fallbacks.get(name, ()) if principal.may_ask(other)]
        return [deployment for each in (name, *others) for deployment in self._deployments(each)]

    def resolve(self, model: str) -> Deployment:
        """The one whose turn it is. Raises `RequestError` 404."""
        return self._deployments(self._aliases.get(model, model))[0]

    def candidates(self, model: str) -> list[Deployment]:
        """All that may answer for this name, without its fallbacks. Raises `RequestError` 404."""
        return list(self._deployments(self._aliases.get(model, model)))

    def sole_deployment(self, path: str | None = None) -> Deployment | None:
        """A deployment at the one provider, address and key that all models have (all that take the bytes of `path`,
        where it is given); None if there are several."""
        found = [self.resolve(name) for name in (*self._exact, *self._wildcards)]
        found = [each for each in found if path is None or path in each.speaks]
        places = {(each.provider, each.api_base, each.api_key) for each in found}
        return found[0] if len(places) == 1 else None

    def _deployments(self, model: str) -> tuple[Deployment, ...]:
        """Exact names first, then the longest wildcard that fits, then the one that fits the name with the prefix its
        family has."""
        if model in self._exact:
            return self._exact[model].next()
        family = infer(model)
        for asked in (model, f"{family}/{model}") if family else (model,):
            for pattern, entries in self._wild:
                if match := pattern.fullmatch(asked):
                    return tuple(self._fill(model, match, params) for params in entries.next())
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
        message = f"There is no model {model!r} here.{hint} GET /v1/models lists them all."
        return RequestError(404, "model_not_found", message, param="model")


def defaults(environ: Mapping[str, str], ollama_models: Sequence[str]) -> list[dict[str, Any]]:
    """The `model_list` when none is written: each provider with a key in the environment, and Ollama's models."""
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


def _fallbacks(given: Sequence[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in given:
        if not isinstance(each, Mapping) or not all(isinstance(others, list) for others in each.values()):
            raise ConfigError(f"fallbacks: {each!r} is not of the form {{name: [other, names]}}")
        found |= each
    return found


def _read(entry: Mapping[str, Any], where: str, environ: Mapping[str, str]) -> tuple[str, Params]:
    """The name and the parameters of an entry, its references to the environment replaced."""
    name = entry.get("model_name") if isinstance(entry, Mapping) else None
    params = entry.get("litellm_params") if name else None
    if not isinstance(name, str) or not isinstance(params, Mapping) or not isinstance(params.get("model"), str):
        raise ConfigError(f"{where}: an entry needs model_name and litellm_params with a model")
    info = entry.get("model_info")
    info = info if isinstance(info, Mapping) else {}
    told = {key: value for key in _TOLD if (value := info.get(key, entry.get(key))) is not None}
    given = {key: _value(key, value, f"{where} ({name})", environ) for key, value in params.items()}
    return name, given | told


def _value(key: str, value: Any, where: str, environ: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {k: _value(k, v, where, environ) for k, v in value.items()}
    if not isinstance(value, str) or not value.startswith(_REFERENCE):
        return value
    variable = value.removeprefix(_REFERENCE)
    # A list pasted from elsewhere names many keys; a model without one answers 401 when it is asked.
    if variable not in environ and key != "api_key":
        raise ConfigError(f"{where}: {key}: the environment variable {variable} is not set")
    return environ.get(variable)


def _named(name: str, params: Params, environ: Mapping[str, str]) -> Deployment:
    try:
        return deployment(name, params, environ)
    except ConfigError as error:
        raise ConfigError(f"model_list: {name}: {error}") from None


def deployment(name: str, params: Params, environ: Mapping[str, str]) -> Deployment:
    """What stands behind `litellm_params`. Raises `ConfigError`."""
    given = params.get("api_base") or params.get("base_url")
    provider, model = _provider(params["model"], given, params.get("custom_llm_provider"))
    base = given or default_base(provider, environ)
    spoken = _endpoints(params[_ENDPOINTS]) if _ENDPOINTS in params else speaks(provider, elsewhere=bool(given))
    if spoken and not base:
        raise ConfigError(f"{provider}/{model}: api_base is missing")
    key = params.get("api_key") or (None if given else default_key(provider, environ))
    headers = dict(params.get("extra_headers") or {})
    if params.get("organization"):
        headers["OpenAI-Organization"] = params["organization"]
    return Deployment(
        model_name=name,
        provider=provider,
        upstream_model=model,
        speaks=spoken,
        api_base=_base(provider, base),
        api_key=key,
        timeout=_seconds(params.get("timeout")),
        extra_headers=headers,
        params={key: value for key, value in params.items() if key not in _TAKEN},
        local=_switch(params, _LOCAL, default=False),
        memory=_switch(params, _MEMORY, default=True),
    )


def _provider(model: str, api_base: str | None, named: str | None) -> tuple[str, str]:
    """The provider and its own name for the model."""
    if named:
        return named, model.removeprefix(f"{named}/")
    prefix, slash, rest = model.partition("/")
    if slash and (prefix in OPENAI_COMPATIBLE or prefix in TRANSLATED):
        return prefix, rest
    if family := infer(model):
        return family, model
    if api_base:
        return "openai", model
    if slash:
        return prefix, rest  # a provider that LiteLLM may know
    raise ConfigError(f'which provider has {model!r}? Write "PROVIDER/{model}", or give its api_base')


def _base(provider: str, base: str | None) -> str | None:
    if base is None:
        return None
    base = base.rstrip("/")
    versioned = provider == "anthropic" or provider.startswith("ollama")
    return f"{base}/v1" if versioned and not base.endswith("/v1") else base


def _endpoints(told: Any) -> frozenset[str]:
    paths = [str(path).removeprefix("/v1") for path in told] if isinstance(told, list) else []
    if not paths or any(path not in DIALECT_PATHS for path in paths):
        known = ", ".join(f"/v1{path}" for path in sorted(DIALECT_PATHS))
        raise ConfigError(f"model_info.{_ENDPOINTS}: {told!r} is not a list of {known}")
    return frozenset(paths)


def _switch(params: Params, name: str, *, default: bool) -> bool:
    """YAML reads a bare `off` as false."""
    value = params.get(name, default)
    if value not in (True, False, "on", "off"):
        raise ConfigError(f"{name}: {value!r} is neither on nor off")
    return value in (True, "on")


def _seconds(value: Any) -> float:
    try:
        return 600.0 if value is None else float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"timeout: {value!r} is not a number of seconds") from None


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\*", "(.*)"))


def _substitute(target: str, match: re.Match[str]) -> str:
    """LiteLLM's rule: each star of the target takes what the star of the name stood for; too few stars, and the
    whole name is taken."""
    if "*" not in target:
        return target
    if len(match.groups()) > target.count("*"):
        return match.string
    for found in match.groups():
        target = target.replace("*", found, 1)
    return target
