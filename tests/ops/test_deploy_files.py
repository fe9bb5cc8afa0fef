"""What lies in deploy/ is what the proxy and the tools that read it understand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
import yaml

from rememberd.settings.schema import load
from rememberd.upstream.catalog import Catalog

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "rememberd"
SECRETS = {
    "REMEMBERD_FIRST_KEY": "first",
    "REMEMBERD_ADMIN_KEY": "admin",
    "QDRANT_API_KEY": "qdrant",
    "REDIS_URL": "redis://redis:6379/0",
}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tool(name: str) -> str:
    """Of this environment or of the system."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: .ci/run installs it")
    return found


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configurations_load(tmp_path: Path) -> None:
    """Compose's file and the chart's default values are configurations that the proxy takes."""
    compose = load(DEPLOY / "rememberd.yaml", SECRETS)
    assert compose.memory.store.url == "http://qdrant:6333"
    chart = tmp_path / "chart.yaml"
    chart.write_text(yaml.safe_dump(read(CHART / "values.yaml")["config"]))
    assert load(chart, SECRETS).memory.queue.url == SECRETS["REDIS_URL"]


def test_litellm_s_proxy_can_stand_behind() -> None:
    """Clients' keys are passed on to where its command listens, and its models are in the format that we read too."""
    front, text = load(DEPLOY / "litellm" / "rememberd.yaml", {}), (DEPLOY / "litellm" / "litellm.yaml").read_text()
    assert front.upstreams is not None
    assert urlsplit(front.upstreams[""]).port == int(re.findall(r"--port (\d+)", text)[0])
    behind = yaml.safe_load(text)
    environ = {"OPENAI_API_KEY": "sk-a", "ANTHROPIC_API_KEY": "sk-b"}
    catalog = Catalog(behind["model_list"], environ)
    assert {catalog.resolve(name).provider for name in ("gpt-4o", "claude")} == {"openai", "anthropic"}
    assert catalog.ignored() == ""
    for name in ("master_key", "database_url"):
        assert behind["general_settings"][name].startswith("os.environ/")


@pytest.mark.parametrize("file", ["compose.yaml", "internet/compose.yaml"])
def test_compose_mounts_what_exists(file: str) -> None:
    """Every file that a service mounts is there, seen from the folder of the first file, and every variable is in the
    example."""
    text = (DEPLOY / file).read_text(encoding="utf-8")
    mounted = re.findall(r"- (\./[^:]+):", text)
    assert mounted
    assert [path for path in mounted if not (DEPLOY / path).exists()] == []
    asked = set(re.findall(r"\$\{(\w+)", text))
    assert asked <= set(re.findall(r"^(\w+)=", (DEPLOY / "compose.env.example").read_text(), re.MULTILINE))


def test_commands_in_a_container_read_the_proxys_settings() -> None:
    """`docker compose exec web rememberd keys create` names no file: by `$REMEMBERD_CONFIG` it makes the key in Redis
    and not in a file that nobody reads. The chart's pods and the systemd unit have the variable too."""
    for service in ("web", "writer"):
        given = read(DEPLOY / "compose.yaml")["services"][service]
        mounts = [each.split(":")[1] for each in given["volumes"]]
        assert given["environment"]["REMEMBERD_CONFIG"] in mounts
        assert given["command"] == [service]
        pod = (CHART / "templates" / f"{service}.yaml").read_text()
        assert "{name: REMEMBERD_CONFIG, value: /etc/rememberd/rememberd.yaml}" in pod
    assert "REMEMBERD_CONFIG=/etc/rememberd/rememberd.yaml" in (DEPLOY / "rememberd.service").read_text()


def test_prometheus_asks_each_web_process() -> None:
    """Compose gives the name `web` an address for each: asked by its name alone, now one and now the other would
    answer, and their counters would be taken for one that falls back again and again."""
    assert "deploy: {replicas: 2}" in (DEPLOY / "internet" / "compose.yaml").read_text()
    jobs = {each["job_name"]: each for each in read(DEPLOY / "prometheus.yaml")["scrape_configs"]}
    (found,) = jobs["rememberd-web"]["dns_sd_configs"]
    assert (found["names"], found["port"]) == (["web"], 8787)


def test_redis_keeps_what_it_is_given() -> None:
    """Turns wait in Redis: every write on disk, nothing evicted."""
    command = " ".join(read(DEPLOY / "compose.yaml")["services"]["redis"]["command"])
    assert "--appendonly yes --appendfsync always --maxmemory-policy noeviction" in command


def test_streams_are_let_finish() -> None:
    """Whoever stops the proxy waits longer than it lets streams go on, the pause before it included. systemd signals
    `serve` alone: signalled with the others, the writer would stop before the chats that it still looks up for."""
    grace = load(None, {}).server.grace_seconds
    service = (DEPLOY / "rememberd.service").read_text()
    assert int(re.findall(r"TimeoutStopSec=(\d+)", service)[0]) > grace
    assert re.findall(r"^KillMode=(.*)", service, re.MULTILINE) == ["mixed"]
    assert int(read(DEPLOY / "compose.yaml")["services"]["web"]["stop_grace_period"].removesuffix("s")) > grace
    assert read(CHART / "values.yaml")["terminationGracePeriodSeconds"] > grace + 5


def test_a_release_waits_for_the_tests() -> None:
    """As long as their own workflow lets them run: else no tag would ever be released. The changelog of a release has
    its date."""
    flows = ROOT / ".github" / "workflows"
    limits = {read(flows / f"{name}.yaml")["jobs"]["tests"]["timeout-minutes"] for name in ("tests", "release")}
    assert len(limits) == 1
    wanted = re.findall(r'grep -qE "(.*)"', (flows / "release.yaml").read_text())[0]
    version = re.findall(r'"(.*)"', (ROOT / "proxy/rememberd/__init__.py").read_text())[0]
    for line, released in ((f"## [{version}] - 2026-12-24", True), (f"## [{version}] - unreleased", False)):
        assert bool(re.match(wanted.replace("$version", version), line)) is released


def test_the_schema_covers_the_values() -> None:
    """The default values pass the chart's schema, and a misspelt one does not."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = orjson.loads((CHART / "values.schema.json").read_bytes())
    values = read(CHART / "values.yaml")
    jsonschema.validate(values, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values | {"webb": {}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values | {"config": values["config"] | {"keys": []}}, schema)


def test_the_lock_holds_every_dependency() -> None:
    """The image installs nothing that is not pinned with its hash, from no registry in particular."""
    lock = (DEPLOY / "requirements.lock").read_text()
    pinned = set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE))
    needed = {
        re.split(r"[<>=!~;\[ ]", requirement)[0].lower().replace(".", "-")
        for requirement in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    }
    assert needed - pinned == set()
    assert "://" not in lock


def manifests(tmp_path: Path, **changes: Any) -> Path:
    """The chart rendered by Go's own templates, with these values changed."""
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(read(CHART / "values.yaml") | changes))
    gopath = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(tmp_path / "go"), "GOFLAGS": ""}
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(run(tool("go"), "run", ROOT / "tests/helm/render.go", CHART, values, "prod", **gopath))
    return rendered


@pytest.mark.slow
def test_the_chart_renders_valid_kubernetes(tmp_path: Path) -> None:
    """By the schemas of the Kubernetes API itself; a changed configuration starts a rollout."""
    more = {
        "networkPolicy": {"enabled": True},
        "dataVolume": {"persistentVolumeClaim": {"claimName": "rememberd"}},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "host": "chat.example.org",
            "tlsSecret": "chat-tls",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-buffering": "off"},
        },
        "nodeSelector": {"disk": "ssd"},
        "podAnnotations": {"team": "memory"},
    }
    rendered = manifests(tmp_path, **more)
    documents = [each for each in yaml.safe_load_all(rendered.read_text()) if each]
    assert sorted(each["kind"] for each in documents) == sorted(
        [
            *["Deployment", "PodDisruptionBudget"] * 2,
            "ConfigMap",
            "HorizontalPodAutoscaler",
            "Ingress",
            "NetworkPolicy",
            "Service",
        ]
    )
    run(tool("kubernetes-validate"), "--strict", rendered)
    assert rendered.read_text().count("HTTPS_PROXY") == 2
    (ingress,) = [each for each in documents if each["kind"] == "Ingress"]
    paths = {each["path"] for each in ingress["spec"]["rules"][0]["http"]["paths"]}
    assert "/v1" in paths
    assert paths & {"/admin", "/metrics", "/health"} == set()
    sums = re.findall(r"checksum/config: (\S+)", rendered.read_text())
    config = read(CHART / "values.yaml")["config"] | {"fallbacks": []}
    assert len(set(sums)) == 1
    assert sums[0] not in manifests(tmp_path, config=config).read_text()


@pytest.mark.slow
def test_the_linters_find_nothing() -> None:
    """hadolint for the Dockerfile, systemd's own verification and its exposure score for the unit."""
    run(tool("hadolint"), DEPLOY / "Dockerfile")
    analyze = tool("systemd-analyze")
    report = run(analyze, "security", "--offline=true", DEPLOY / "rememberd.service")
    assert float(re.findall(r"exposure level for \S+: ([\d.]+)", report)[0]) < 2.5
    verdict = subprocess.run(
        [analyze, "verify", DEPLOY / "rememberd.service"], capture_output=True, text=True, check=False
    )
    assert [line for line in verdict.stderr.splitlines() if "is not executable" not in line] == []


@pytest.mark.slow
def test_the_image_s_commands_make_a_proxy_that_runs(tmp_path: Path) -> None:
    """No Docker here: the same pip commands on the same files in a clean directory, then the entry point."""
    dockerfile = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    source, target = tmp_path / "src", tmp_path / "opt"
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        *files, destination = line.split()
        for name in files:
            place = tmp_path / destination.strip("/") / ("" if destination.endswith("/") else "..")
            here, there = ROOT / name, (place / Path(name).name).resolve()
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(here, there) if here.is_dir() else shutil.copy(here, there)
    for command in re.findall(r"^RUN (.+)$", dockerfile.rpartition("\nFROM")[0], re.MULTILINE):
        command = command.replace("/opt/rememberd", str(target)).replace("/src", str(source))
        run("sh", "-ec", command)
    assert "rememberd" in run(target / "bin" / "rememberd", "--version")
    assert "allergic to peanuts" in run(target / "bin" / "rememberd", "demo", HF_HUB_OFFLINE="1")
