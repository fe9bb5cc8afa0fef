"""Every setting, its default and one line about it. `load` reads the YAML file and the environment.

The environment overrides the file: `REMEMBERD_SERVER_PORT=9000` sets `server.port`, and
`REMEMBERD_ADMIN_KEY_FILE=/run/secrets/admin` sets `admin_key` to the content of that file. Strings are literal; a
list or a table is written as `[a, b]` or `{"a": "b"}`. In the file, a value `os.environ/NAME` is read from that
variable, as in LiteLLM. An unknown key is an error that names the nearest known key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from rememberd.access.principals import digest, hash_from, principal_from
from rememberd.errors import ConfigError
from rememberd.settings.checks import check
from rememberd.settings.loader import SettingsReader
from rememberd.types import Principal


def setting(default: Any, about: str, *, least: int = 0, most: int | None = None) -> Any:
    """`least` and `most` bound a number."""
    return field(default=default, metadata={"about": about, "least": least, "most": most})


def table(cls: type) -> Any:
    return field(default_factory=cls)


@dataclass(frozen=True, slots=True)
class Server:
    host: str = setting("127.0.0.1", "address to listen on; anything but loopback needs keys")
    port: int = setting(8787, "port to listen on", most=65_535)
    metrics_port: int | None = setting(
        None, "port on which a writer without `serve` answers /metrics and /health; null = none", most=65_535
    )
    log_format: Literal["text", "json"] = setting("text", "format of the log lines on stderr: text or json")
    access_log: bool = setting(
        False, "log each answer: method, route, status, time; no addresses and no texts of users"
    )
    workers: int = setting(1, "number of web processes; one per core is enough", least=1)
    max_body_mb: int = setting(32, "largest request body accepted, in MiB", least=1)
    grace_seconds: int = setting(25, "how long streams may go on after SIGTERM")
    drain_seconds: int = setting(
        0, "how long requests are still answered after SIGTERM, while /health/ready answers 503"
    )
    head_seconds: int = setting(15, "how long a client may take to send a request's head", least=1)
    body_seconds: int = setting(120, "how long a client may take to send a request's body", least=1)
    max_connections: int = setting(2000, "most connections of each web process; more get the status 503", least=1)
    cors_origins: list[str] | None = setting(
        None,
        'web sites that may call it (CORS), as https://chat.example, or "*" if there are keys; null = none',
    )

    @property
    def local_only(self) -> bool:
        return self.host in ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Key:
    name: str = setting(MISSING, "name of the key in logs")
    key: str | None = setting(None, "the API key itself")
    key_hash: str | None = setting(None, "instead of the key, its hash: `rememberd keys hash` prints it")
    user: str | None = setting(None, "the user that the key belongs to")
    trust_identity: bool = setting(False, "requests may name the end user (headers, body)")
    jwt_secret: str | None = setting(None, "HS256 secret of X-OpenWebUI-User-Jwt")
    groups_claim: str | None = setting(None, "claim of that token that lists the user's groups; null = none")
    models: list[str] | None = setting(None, "models that this key may use, * matches any text; null = all")
    scopes: list[str] | None = setting(None, "scopes that this key may use, the first is its default; null = all")
    requests_per_minute: int | None = setting(
        None, "rate limit, counted over all web processes of a host; null = no limit"
    )
    tokens_per_day: int | None = setting(
        None, "input and output tokens in a day (UTC), counted over all hosts; null = no limit"
    )
    expires_at: str | None = setting(None, "date or time (UTC) when it expires; null = never")
    memory: Literal["on", "read", "write", "off"] = setting(
        "on", "what its requests may do with memories: on, read, write or off"
    )

    @property
    def digest(self) -> bytes:
        """Raises `ValueError` for an invalid `key_hash`."""
        return digest(self.key) if self.key is not None else hash_from(self.key_hash or "")


@dataclass(frozen=True, slots=True)
class SignIn:
    issuer: str | None = setting(None, "OpenID provider, such as https://id.example/realms/team; null = no sign-in")
    client_id: str | None = setting(None, "client id of this proxy at the provider")
    client_secret: str | None = setting(
        None, "client secret of this proxy; null = a public client, protected only by PKCE"
    )
    public_url: str | None = setting(
        None, "address for browsers, such as https://memory.example; null = only on loopback"
    )
    scopes: list[str] | None = setting(None, "scopes to request from the provider; null = openid, profile, email")
    audience: str | None = setting(
        None, "`aud` of the access tokens that API and MCP accept; null = access tokens are refused"
    )
    user_claim: str = setting("sub", "claim that identifies the user; people must not be able to choose its value")
    groups_claim: str = setting(
        "groups", "claim that lists the user's groups; also a path, such as realm_access.roles"
    )
    admin_claim: str | None = setting(
        None, "claim of admins: NAME if it is true, or NAME=VALUE, such as groups=admins; null = nobody"
    )
    session_hours: int = setting(8, "hours after which a browser must sign in again", least=1)
    cookie_secret: str | None = setting(
        None, "secret for cookies, at least 32 characters, the same on all hosts; null = made in data_dir"
    )


@dataclass(frozen=True, slots=True)
class SharedGroup:
    name: str = setting(MISSING, "name of the group, used in `X-Memory-Scope: @NAME`")
    members: dict[str, str] | None = setting(None, "users and their roles: reader, writer or owner; null = none")
    claim_role: str | None = setting(None, "role of users whose token names the group (groups_claim); null = no role")
    keep_contributions: bool = setting(False, "keep what an erased member wrote, without the name")


@dataclass(frozen=True, slots=True)
class Store:
    url: str | list[str] | None = setting(
        None,
        "Qdrant server, or a list of a cluster's addresses (also comma-separated); null = embedded in the writer",
    )
    api_key: str | None = setting(None, "key of the Qdrant server")
    collection: str = setting("rememberd", "prefix of the collections' names on the Qdrant server")
    shards: int = setting(1, "number of parts of a new collection, spread over the cluster's nodes", least=1)
    shard_by_user: bool = setting(
        False, "store each user in one shard and search only that one; for 100,000 users and more"
    )
    replicas: int = setting(1, "copies of each shard of a new collection, on as many nodes", least=1)
    write_consistency: int = setting(1, "how many copies must have a write before it succeeds", least=1)
    quantize: bool = setting(False, "a new collection keeps vectors as 8-bit numbers in memory: a quarter of the RAM")
    next_url: str | list[str] | None = setting(
        None, "where to move the memories while the proxy runs: a Qdrant server, or `embedded`; null = nowhere"
    )
    next_collection: str | None = setting(None, "the `collection` to move to; null = the same name")
    next_shards: int | None = setting(None, "the `shards` of that collection; null = the same number", least=1)
    next_shard_by_user: bool | None = setting(None, "the `shard_by_user` of that collection; null = the same")

    @property
    def urls(self) -> list[str]:
        given = self.url.split(",") if isinstance(self.url, str) else self.url or []
        return [each.strip() for each in given if each.strip()]


@dataclass(frozen=True, slots=True)
class Queue:
    url: str | None = setting(None, "redis://, rediss:// or unix:// of a Redis; null = SQLite in data_dir")


@dataclass(frozen=True, slots=True)
class Embedding:
    model: str | None = setting(
        None, "multilingual (in the package), or a fastembed model, which is downloaded; null = English"
    )
    path: str | None = setting(None, "directory of a local ONNX model; null = none")
    next_model: str | None = setting(
        None, "the model to change to: all memories are also embedded with it; null = none"
    )
    next_path: str | None = setting(None, "the same, as a directory; null = none")


@dataclass(frozen=True, slots=True)
class Extract:
    model: str | None = setting(
        None, "a model of model_list that extracts facts; same = the one that answered; null = rules only"
    )
    timeout_seconds: int = setting(
        60, "how long one call to that model may take; a local model may need more", least=1
    )
    idle_seconds: int = setting(
        20, "seconds without a new turn after which a conversation is sent to that model", least=1
    )
    daily_tokens: int = setting(
        50_000,
        "tokens that extraction may use for each user in a day; beyond that it waits until the next day",
        least=1,
    )


@dataclass(frozen=True, slots=True)
class Encryption:
    master_key: str | None = setting(None, "32 bytes, base64 or hex: encrypts memories at rest; null = not encrypted")
    master_key_file: str | None = setting(None, "a file with the master key; older keys may follow the newest one")
    master_key_command: list[str] | None = setting(None, "a command with its arguments that prints the master key")
    rotate_vectors: bool = setting(False, "also rotate vectors by a secret: obfuscation, not encryption")


@dataclass(frozen=True, slots=True)
class Memory:
    placement: Literal["user", "system"] = setting(
        "user", "where to insert the block: before the newest user message, or as a system message"
    )
    side_tasks: list[str] | None = setting(
        None,
        "regular expressions; a request whose newest message begins so does not use memory; null = none",
    )
    budget_tokens: int = setting(600, "largest context block, in tokens")
    time_zone: str | None = setting(
        None, "time zone of users who neither send nor set one, such as Europe/Oslo; null = UTC"
    )
    deadline_ms: int = setting(150, "longest time for recall, and longest wait for the queue", least=1)
    private_scopes: list[str] | None = setting(None, "scopes whose memories go to local models only; null = none")
    private_classes: list[str] | None = setting(
        None,
        "subjects for local models only: health, religion, politics, sexuality, ethnicity, money, crime; null = none",
    )
    receipts_days: int = setting(30, "how long receipts are kept", least=1)
    redact: list[str] | None = setting(
        None, "personal data to redact besides secrets and identity numbers: mail, phone, address; null = none"
    )
    store: Store = table(Store)
    queue: Queue = table(Queue)
    embedding: Embedding = table(Embedding)
    extract: Extract = table(Extract)
    encryption: Encryption = table(Encryption)


@dataclass(frozen=True, slots=True)
class Settings:
    server: Server = table(Server)
    data_dir: str = setting("~/.local/share/rememberd", "directory of memories, queue and receipts")
    model_list: list[dict[str, Any]] | None = setting(
        None, "LiteLLM's own format; null = provider keys in the environment and a running Ollama"
    )
    aliases: dict[str, str] | None = setting(None, "other names of models, such as {fast: gpt-4o-mini}; null = none")
    fallbacks: list[dict[str, list[str]]] | None = setting(
        None, "models to try if one fails before its first byte, in LiteLLM's format; null = none"
    )
    upstreams: dict[str, str] | None = setting(
        None,
        "providers that get the client's own key, by prefix of the model's name: {\"\": URL}; null = none",
    )
    upstreams_anywhere: bool = setting(
        False, "serve `upstreams` to other machines, too; each key is a different user"
    )
    keys: list[Key] | None = setting(None, "API keys; null = no key needed, loopback only, one user 'local'")
    groups: list[SharedGroup] | None = setting(
        None, "groups of people who share memories; null = those of `rememberd groups`"
    )
    admin_key: str | None = setting(None, "key of the admin API; if it is set, /metrics needs it, too")
    sign_in: SignIn = table(SignIn)
    memory: Memory = table(Memory)

    @property
    def closed(self) -> bool:
        """True if every request needs a key or a signed-in user, whether or not a key was ever created."""
        return bool(self.keys or self.admin_key or self.sign_in.issuer)

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir).expanduser()


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The effective settings: the defaults, overridden by the file (None = no file), then by the environment.

    Raises `ConfigError` with the file, the line and the nearest known name."""
    root: yaml.Node | None = None
    if path is not None:
        try:
            with path.open(encoding="utf-8") as file:
                root = yaml.compose(file, Loader=yaml.SafeLoader)
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    reader = SettingsReader(Settings, environ)
    settings: Settings = reader.read(Settings, root, ())
    reader.refuse_unknown_variables()
    check(settings)
    return settings


def configured_keys(keys: Sequence[Key]) -> dict[bytes, Principal]:
    """The principals of the keys in the settings, by the key's digest. Raises `ValueError` for a bad entry."""
    return {key.digest: principal_from(asdict(key)) for key in keys}
