"""The known providers: their dialects, addresses and the environment variables with their keys. Prefixes and
variables are LiteLLM's."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from rememberd.types import CHAT, COUNT_TOKENS, MESSAGES, RESPONSES
from rememberd.upstream import ollama

_CHAT = frozenset((CHAT,))
_OPENAI = _CHAT | {RESPONSES}
_THREE = _OPENAI | {MESSAGES}
_FOUR = _THREE | {COUNT_TOKENS}
_ANTHROPIC = frozenset((MESSAGES, COUNT_TOKENS))


class Provider(NamedTuple):
    """`base` is the default API base (None: the operator must set it), `keys` the variables that may contain the key,
    `speaks` the supported dialects (by the provider's documentation in 2026; `model_info` can override them)."""

    base: str | None
    keys: tuple[str, ...] = ()
    speaks: frozenset[str] = _CHAT


OPENAI_COMPATIBLE: Mapping[str, Provider] = {
    "openai": Provider("https://api.openai.com/v1", ("OPENAI_API_KEY",), _OPENAI),
    "text-completion-openai": Provider("https://api.openai.com/v1", ("OPENAI_API_KEY",)),
    "cerebras": Provider("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    "dashscope": Provider("https://dashscope.aliyuncs.com/compatible-mode/v1", ("DASHSCOPE_API_KEY",)),
    "deepinfra": Provider("https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_KEY",)),
    "deepseek": Provider("https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",)),
    "featherless_ai": Provider("https://api.featherless.ai/v1", ("FEATHERLESS_AI_API_KEY",)),
    "fireworks_ai": Provider(
        "https://api.fireworks.ai/inference/v1",
        ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY"),
        _OPENAI,
    ),
    "groq": Provider("https://api.groq.com/openai/v1", ("GROQ_API_KEY",), _OPENAI),
    "hyperbolic": Provider("https://api.hyperbolic.xyz/v1", ("HYPERBOLIC_API_KEY",)),
    "mistral": Provider("https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
    "moonshot": Provider("https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY",)),
    "nebius": Provider("https://api.studio.nebius.ai/v1", ("NEBIUS_API_KEY",)),
    "novita": Provider("https://api.novita.ai/v3/openai", ("NOVITA_API_KEY",)),
    "nvidia_nim": Provider("https://integrate.api.nvidia.com/v1", ("NVIDIA_NIM_API_KEY",)),
    "openrouter": Provider("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY", "OR_API_KEY"), _THREE),
    "perplexity": Provider("https://api.perplexity.ai", ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY")),
    "sambanova": Provider("https://api.sambanova.ai/v1", ("SAMBANOVA_API_KEY",)),
    "together_ai": Provider(
        "https://api.together.xyz/v1", ("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY")
    ),
    "xai": Provider("https://api.x.ai/v1", ("XAI_API_KEY",), _OPENAI),
    "llamafile": Provider("http://127.0.0.1:8080/v1", ("LLAMAFILE_API_KEY",)),
    "lm_studio": Provider("http://127.0.0.1:1234/v1", ("LM_STUDIO_API_KEY",), _THREE),
    "ollama": Provider(ollama.USUAL, ("OLLAMA_API_KEY",), _THREE),
    "ollama_chat": Provider(ollama.USUAL, ("OLLAMA_API_KEY",), _THREE),
    "hosted_vllm": Provider(None, ("HOSTED_VLLM_API_KEY",), _FOUR),
    "vllm": Provider(None, ("HOSTED_VLLM_API_KEY",), _FOUR),
    "litellm_proxy": Provider(None, ("LITELLM_PROXY_API_KEY",), _FOUR),
    "openai_like": Provider(None, ("OPENAI_LIKE_API_KEY",)),
    "custom_openai": Provider(None),
}

ANTHROPIC = Provider("https://api.anthropic.com/v1", ("ANTHROPIC_API_KEY",), _ANTHROPIC)

# Providers that LiteLLM knows and that have another protocol: their `api_base` is not an OpenAI-compatible server.
TRANSLATED: Mapping[str, tuple[str, ...]] = {
    "ai21": ("AI21_API_KEY",),
    "anthropic": ANTHROPIC.keys,
    "azure": ("AZURE_API_KEY",),
    "azure_ai": ("AZURE_AI_API_KEY",),
    "bedrock": (),
    "cohere": ("COHERE_API_KEY",),
    "cohere_chat": ("COHERE_API_KEY",),
    "databricks": ("DATABRICKS_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "github_copilot": (),
    "huggingface": ("HUGGINGFACE_API_KEY", "HF_TOKEN"),
    "oci": (),
    "predibase": ("PREDIBASE_API_KEY",),
    "replicate": ("REPLICATE_API_KEY",),
    "sagemaker": (),
    "sagemaker_chat": (),
    "snowflake": ("SNOWFLAKE_JWT",),
    "vertex_ai": (),
    "watsonx": ("WATSONX_API_KEY",),
}

_FAMILIES = (
    (re.compile(r"(?:ft:)?(?:gpt-|chatgpt-|o\d|text-embedding-)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "gemini"),
)


def infer(model: str) -> str | None:
    """The provider of a model name without a provider prefix, by the usual beginnings of its model names."""
    return next((provider for family, provider in _FAMILIES if family.match(model)), None)


def default_base(provider: str, environ: Mapping[str, str]) -> str | None:
    """The API base from the environment, else the default one; None for providers that need translation."""
    if provider.startswith("ollama"):
        return ollama.base(environ)
    if provider == "anthropic":
        return environ.get("ANTHROPIC_API_BASE") or environ.get("ANTHROPIC_BASE_URL") or ANTHROPIC.base
    named = environ.get(f"{provider.upper().replace('-', '_')}_API_BASE")
    if provider in ("openai", "text-completion-openai"):
        named = environ.get("OPENAI_BASE_URL") or environ.get("OPENAI_API_BASE")
    known = OPENAI_COMPATIBLE.get(provider)
    return named or known.base if known else None


def speaks(provider: str, *, elsewhere: bool) -> frozenset[str]:
    """The dialects that a provider supports. `elsewhere`: at an address that the operator gave. There, `openai` is
    often another server, so only chat is assumed."""
    if provider == "anthropic":
        return ANTHROPIC.speaks
    known = OPENAI_COMPATIBLE.get(provider)
    if known is None:
        return frozenset()
    return _CHAT if elsewhere and provider == "openai" else known.speaks


def may_speak(provider: str) -> frozenset[str]:
    """The dialects that a server at an operator's address may also support: they are tried first, and translated if
    the server does not have the path."""
    return OPENAI_COMPATIBLE[provider].speaks if provider == "openai" else frozenset()


def default_key(provider: str, environ: Mapping[str, str]) -> str | None:
    known = OPENAI_COMPATIBLE.get(provider)
    names = known.keys if known else TRANSLATED.get(provider, ())
    return next((environ[name] for name in names if environ.get(name)), None)
