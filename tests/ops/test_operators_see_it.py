"""What an operator looks at, and is woken by, is there: dashboard and alerts name metrics of a real proxy."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml

from rememberd.storage.qdrant import connection as qdrant_connection
from tests.ops.test_deploy_files import DEPLOY, run, tool
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_server import Proxy, ask, eventually, remembered

ON_A_SERVER = {"rememberd_qdrant_errors_total"}  # only where memory.store.url is set


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    dashboard = orjson.loads((DEPLOY / "grafana/dashboards/rememberd.json").read_bytes())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]] + [
        rule["expr"] for rule in alerts()
    ]


def names() -> set[str]:
    return {name for expression in expressions() for name in re.findall(r"\brememberd_\w+", expression)}


def test_what_dashboard_and_alerts_name_is_measured(served: Proxy, upstream: FakeModel, user: str) -> None:
    """Every name, and every value of a label that is asked for, stands in the /metrics of a proxy at work."""
    with served.client(user) as client:
        ask(client, "I live in Halden. My key is sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH.")
        remembered(client, "Halden", "fact")
        with client.stream("POST", "/v1/chat/completions", json=streamed("Where do I live?")) as answer:
            answer.read()

    def text() -> str:
        return httpx.get(f"{served.url}/metrics").text

    assert "rememberd_qdrant_errors_total" in {each.name + "_total" for each in qdrant_connection.failures.collect()}
    missing = names() - ON_A_SERVER - {"rememberd_upstream_failures_total"}
    eventually(lambda: missing <= set(re.findall(r"^(\w+)", text(), re.MULTILINE)))
    for series in (
        'rememberd_queue_puts_total{outcome="lost"} ',
        'rememberd_audit_entries_total{outcome="lost"} ',
        'rememberd_memory_status_total{status="degraded"} ',
        'rememberd_upstream_first_byte_seconds_count{streamed="yes"} ',
        'rememberd_first_byte_seconds_count{streamed="no"} ',
        'rememberd_overhead_stage_seconds_count{stage="remember"} ',
        "rememberd_writer_lag_seconds_count ",
    ):
        assert f"\n{series}" in text(), series
    for stage in ("embed", "search", "rank", "fetch"):  # the last three in the process that has the store
        assert re.search(rf'^rememberd_recall_stage_seconds_count{{stage="{stage}"}} [1-9]', text(), re.MULTILINE), (
            stage
        )


def streamed(text: str) -> dict[str, Any]:
    return {"model": "model-a", "stream": True, "messages": [{"role": "user", "content": text}]}


def test_a_failing_provider_is_counted_by_name(served: Proxy, upstream: FakeModel, user: str) -> None:
    """The alert names it."""
    with served.client(user) as client:
        upstream.script(Behaviour(status=500))
        assert ask(client, "Hello?").status_code == 500
    assert 'rememberd_upstream_failures_total{provider="openai"}' in httpx.get(f"{served.url}/metrics").text


def test_every_alert_says_what_to_do() -> None:
    """A summary with what is wrong, a runbook with what to look at; every severity is one that is routed."""
    for rule in alerts():
        assert len(rule["annotations"]["runbook"]) > 40, rule["alert"]
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("page", "ticket")


FIRED = {
    "RememberdDown": ['up{job="rememberd-web", instance="web:8787"}', "0x30"],
    "RememberdErrors": ['rememberd_requests_total{path="/v1/responses", status="502"}', "0+10x30"],
    "RememberdUpstreamFailing": ['rememberd_upstream_failures_total{provider="openai"}', "0+60x30"],
    "RememberdDegraded": ['rememberd_memory_status_total{status="degraded"}', "0+10x30"],
    "RememberdStoreErrors": ["rememberd_qdrant_errors_total", "0+60x30"],
    "RememberdWriterIdle": ['rememberd_queue_puts_total{outcome="queued"}', "0+1x30"],
    "RememberdQueueOld": ["rememberd_queue_age_seconds", "700x30"],
    "RememberdTurnsLost": ['rememberd_queue_puts_total{outcome="lost"}', "0x25 1x5"],
    "RememberdDeadLetters": ["rememberd_dead_letters", "1x30"],
    "RememberdAuditLost": ['rememberd_audit_entries_total{outcome="lost"}', "0x25 1x5"],
    "RememberdUnreadable": ['rememberd_unreadable_total{part="memory"}', "0x25 1x5"],
    "RememberdSlow": ['rememberd_overhead_seconds_bucket{le="+Inf"}', "0+10x30"],
}


@pytest.mark.slow
def test_the_alerts_fire(tmp_path: Path) -> None:
    """promtool takes the rules, and each fires on the series of its trouble, and not on a quiet proxy."""
    promtool = tool("promtool")
    assert {rule["alert"] for rule in alerts()} == set(FIRED)
    tests = [_fires(name, {series: values}) for name, (series, values) in FIRED.items()]
    up, status = 'up{job="rememberd-web"}', 'rememberd_memory_status_total{status="hit"}'
    quiet = {up: "1x30", status: "0+10x30", FIRED["RememberdTurnsLost"][0]: "0x30", "rememberd_dead_letters": "0x30"}
    tests.append({"interval": "1m", "input_series": _series(quiet), "promql_expr_test": [_silent()]})
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(DEPLOY / "alerts.yaml")], "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """The one that compose mounts, with the rules and the secret where they lie here."""
    secret, config = tmp_path / "admin_key", tmp_path / "prometheus.yml"
    secret.write_text("sk-admin")
    text = (DEPLOY / "prometheus.yaml").read_text()
    text = text.replace("/etc/prometheus/alerts.yaml", str(DEPLOY / "alerts.yaml"))
    config.write_text(text.replace("/run/secrets/admin_key", str(secret)))
    assert "rules found" in run(tool("promtool"), "check", "config", config)


def _fires(name: str, series: dict[str, str]) -> dict[str, Any]:
    if name == "RememberdSlow":
        series |= {
            'rememberd_overhead_seconds_bucket{le="0.1"}': "0x30",
            'rememberd_overhead_seconds_bucket{le="0.5"}': "0+10x30",
        }
    expr = f'count(ALERTS{{alertname="{name}", alertstate="firing"}})'
    test = {"expr": expr, "eval_time": "29m", "exp_samples": [{"labels": "{}", "value": 1}]}
    return {"interval": "1m", "input_series": _series(series), "promql_expr_test": [test]}


def _silent() -> dict[str, Any]:
    return {"expr": 'count(ALERTS{alertstate="firing"})', "eval_time": "29m", "exp_samples": []}


def _series(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": numbers} for name, numbers in values.items()]
