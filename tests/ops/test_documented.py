"""The settings are the same in the code, in rememberd.yaml and in SETTINGS.md; what documents name exists."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from rememberd.cli import COMMANDS
from rememberd.errors import ConfigError
from rememberd.settings.loader import iter_fields
from rememberd.settings.schema import Key, Settings, load
from tests.support.command_line import parsed
from tests.support.settings_table import settings_table, shown

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config" / "rememberd.yaml"
README = ROOT / "README.md"
DOCUMENTS = (
    README,
    *sorted((ROOT / "deploy").glob("*.md")),
    *sorted((ROOT / "proxy").glob("*.md")),
    ROOT / "config" / "SETTINGS.md",
    ROOT / "loadtests" / "FIGURES.md",
    ROOT / "tests" / "README.md",
)
CHANGELOG = ROOT / "CHANGELOG.md"


def test_the_file_holds_every_default() -> None:
    """Read as it is, it changes nothing."""
    assert load(CONFIG, {}) == Settings()


def test_the_file_explains_every_setting_in_one_line() -> None:
    """The line has the words of the code."""
    text = CONFIG.read_text()
    for path, item in [*iter_fields(Settings), *((("keys", key.name), key) for key in fields(Key))]:
        line = rf"^[# -]*{path[-1]}: \S.*?  +# {re.escape(item.metadata['about'])}$"
        assert re.search(line, text, re.MULTILINE), f"{'.'.join(path)} is missing in {CONFIG.name}"


def test_the_document_lists_every_setting() -> None:
    """Name, default and meaning; `python -m tests.support.settings_table > config/SETTINGS.md` writes it anew."""
    assert (ROOT / "config" / "SETTINGS.md").read_text() == settings_table()


def test_the_readme_can_be_read_in_five_minutes() -> None:
    """The README has at most 200 lines; longer explanations are in the document of their subject."""
    assert len(README.read_text().splitlines()) <= 200


def test_every_setting_can_come_from_the_environment() -> None:
    """By the name the file's first lines give; what is not supported yet is refused, not ignored."""
    lists = ("keys", "model_list", "fallbacks", "side_tasks", "master_key_command", "cors_origins", "redact")
    tables = dict.fromkeys((*lists, "scopes", "private_scopes", "private_classes", "aliases", "upstreams", "groups"))
    samples = {
        "placement": "system",
        "host": "localhost",
        "log_format": "json",
        "next_shard_by_user": "true",
        "time_zone": "Europe/Oslo",
    } | tables
    samples |= {"issuer": "https://id.example", "public_url": "https://memory.example", "cookie_secret": "7" * 32}
    usable = {"REMEMBERD_SIGN_IN_ISSUER": "https://id.example", "REMEMBERD_SIGN_IN_CLIENT_ID": "memory"}
    for path, item in iter_fields(Settings):
        value = samples.get(path[-1], "true" if item.default is False else "7")
        variable = "REMEMBERD_" + "_".join(path).upper()
        if value is None:
            continue
        try:
            loaded: object = load(None, (usable if path[0] == "sign_in" else {}) | {variable: value})
        except ConfigError as error:
            assert "not supported" in str(error)  # noqa: PT017 - either outcome is right, a silent one is not
            continue
        for name in path:
            loaded = getattr(loaded, name)
        assert shown(loaded) == value, item.name


def test_a_mistyped_variable_is_refused() -> None:
    """Otherwise the setting would be ignored silently."""
    with pytest.raises(ConfigError, match="did you mean REMEMBERD_MEMORY_BUDGET_TOKENS"):
        load(None, {"REMEMBERD_MEMORY_BUGET_TOKENS": "1"})
    with pytest.raises(ConfigError, match=r"^REMEMBERD_SERVER_PORT must be a whole number"):
        load(None, {"REMEMBERD_SERVER_PORT": "high"})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("server: {prot: 1}", "port"),
        ("server: {admin_key: x}", "admin_key"),
        ("deadline_ms: 3", "memory.deadline_ms"),
        ("memory: {url: x}", "memory.store.url"),
    ],
)
def test_a_setting_that_is_mistyped_or_in_another_table_is_refused(tmp_path: Path, written: str, meant: str) -> None:
    """And the message says which one was meant."""
    path = tmp_path / "rememberd.yaml"
    path.write_text(written)
    with pytest.raises(ConfigError, match=f"did you mean {meant}"):
        load(path, {})


def test_a_pasted_litellm_config_is_read(tmp_path: Path) -> None:
    """Its proxy's own tables are passed over, its model_list is ours."""
    pasted = tmp_path / "config.yaml"
    pasted.write_text(
        "model_list:\n  - model_name: gpt-4o\n    litellm_params:\n      model: openai/gpt-4o\n"
        "      api_key: os.environ/OPENAI_API_KEY\n    model_info: {mode: chat}\n"
        "litellm_settings: {drop_params: true}\ngeneral_settings: {master_key: sk-1234}\nrouter_settings: {}\n"
    )
    loaded = load(pasted, {}).model_list
    assert loaded is not None
    assert loaded[0]["model_name"] == "gpt-4o"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_link_leads_somewhere(document: Path) -> None:
    """To a file of the project, or to a heading of the same document."""
    text = document.read_text()
    headings = {
        heading.lower().translate({32: "-", 44: None}) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, heading = link.partition("#")
        if not link.startswith("http"):
            assert (document.parent / file).exists(), link
            assert file or heading in headings, link


@cache
def source(*folders: str) -> str:
    """The code in these folders."""
    files = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".js"))
    return "\n".join(path.read_text() for path in files)


@pytest.mark.parametrize("document", [*DOCUMENTS, CHANGELOG], ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_name_shown_exists(document: Path) -> None:
    """Metrics, headers, tests, files, and modules of `python -m`."""
    text, package, tests = document.read_text(), source("proxy"), source("tests")
    metrics = {re.sub("_(total|count|sum|bucket)$", "", name) for name in re.findall(r"\brememberd_[a-z_]+", text)}
    headers = {name.lower() for name in re.findall(r"`(X-[A-Z][A-Za-z-]+)", text)}
    modules = {name.replace(".", "/") for name in re.findall(r"python -m ((?:loadtests|tests)[\w.]*)", text)}
    files = set(re.findall(r"`((?:[\w.-]+/)+[\w-]+\.(?:py|md|ya?ml|json|sh))`", text))
    places = (ROOT, document.parent, ROOT / "proxy" / "rememberd", ROOT / "tests" / "support")
    assert [name for name in files if not any((place / name).exists() for place in places)] == []
    assert [name for name in metrics if f'"{name}' not in package] == []
    assert [name for name in headers if name not in package.lower()] == []
    assert [name for name in re.findall(r"::(test_\w+)", text) if f"def {name}(" not in tests] == []
    assert [name for name in modules if not {*ROOT.glob(f"{name}.py"), *ROOT.glob(f"{name}/__main__.py")}] == []


def test_every_path_is_described() -> None:
    """Each route stands in HTTP.md, whatever the part in braces is called there."""
    routes = (ROOT / "proxy" / "rememberd" / "wiring" / "routes.py").read_text()
    described = re.sub(r"\{[^}]*\}|NAME", "{}", (ROOT / "proxy" / "HTTP.md").read_text())
    paths = {re.sub(r"\{[^}]*\}", "{}", path) for path in re.findall(r'Route\("(/[^"]*)"', routes)}
    internal = {"/", "/page/{}", "/api/{}", "/v1/{}"}
    assert [path for path in sorted(paths - internal) if path not in described] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_command_shown_can_be_typed(document: Path) -> None:
    """With the options that it has."""
    text = document.read_text()
    shown = re.findall(r"`((?:rememberd) [a-z][^`]*)`", text)
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        shown += re.findall(r"(?:^|; |bin/)(rememberd (?:[^;#&\n]|\\\n)*)", block, re.MULTILINE)
    for command in shown:
        words = shlex.split(command, comments=True)[1:]
        assert words[0] in COMMANDS, command
        if len(words) > 1:
            parsed(words)
