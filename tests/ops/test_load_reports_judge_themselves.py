"""A load test's report says first whether it may be trusted, and two runs are compared with intervals."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from loadtests import overload, plots
from loadtests.against import caution, compare, earlier_run, markdown
from loadtests.machine import Others, own_seconds
from loadtests.scenario import HERE, load
from loadtests.verdict import overload_sentences, sentences

GOOD = {
    "n": 100.0,
    "open": 1.0,
    "late_p99": 0.5,
    "errors": 0.0,
    "status_hit": 1.0,
    "added_p50": 11.0,
    "added_p99": 30,
}
IDLE = {"stolen": 0.0, "busy_before": 0.05}


def test_a_good_run_is_valid_and_says_what_was_found() -> None:
    trust, finding, advice = sentences({"steady": {"hit": GOOD}}, ["hit"], IDLE)
    assert "This run is valid" in trust
    assert "11.0 ms" in finding
    assert "--against" in advice


@pytest.mark.parametrize(
    ("figures", "machine", "word"),
    [
        ({"late_p99": 40.0}, {}, "late"),
        ({"errors": 3.0}, {}, "failed"),
        ({"status_hit": 0.9}, {}, "hits"),
        ({}, {"busy_before": 1.5}, "busy before it"),
        ({}, {"busy_during": 0.6}, "busy meanwhile"),
        ({}, {"stolen": 0.3}, "other guests"),
    ],
)
def test_what_spoils_a_run_makes_it_invalid(figures: dict[str, float], machine: dict[str, float], word: str) -> None:
    """A late sender, a busy machine, failed answers, or hits below 95 %."""
    trust, _, advice = sentences({"steady": {"hit": GOOD | figures}}, ["hit"], IDLE | machine)
    assert "*invalid*" in trust
    assert word in trust
    assert "Do not compare" in advice


_BURN = "import os\nwhile sum(os.times()[:2]) < 0.4: pass"


def test_what_other_programs_take_while_it_lasts_is_told_from_its_own() -> None:
    """What the load test has started is its own, also what its children started and what has ended; a process whose
    parent has gone is not."""
    before = own_seconds()
    subprocess.run(["sh", "-c", f"{sys.executable} -c '{_BURN}'; true"], check=True)
    assert own_seconds() - before > 0.35
    before, others, began = own_seconds(), Others(), time.monotonic()
    with subprocess.Popen(
        ["sh", "-c", f"{sys.executable} -c '{_BURN}; print(1)' & "], stdout=subprocess.PIPE
    ) as stray:
        assert stray.stdout is not None
        assert stray.stdout.read()
    assert others.cores() * (time.monotonic() - began) > 0.35
    assert own_seconds() - before < 0.35


def test_a_sender_that_waits_for_the_server_is_not_late() -> None:
    """In a closed loop a request is sent when the one before was answered."""
    assert "valid" in sentences({"busy": {"hit": GOOD | {"late_p99": 40.0, "open": 0.0}}}, ["hit"], IDLE)[0]


def run_of(rps: list[float]) -> dict[str, Any]:
    return {"rows": [["busy", "off", number, {"rps": each}] for number, each in enumerate(rps)]}


def test_a_difference_counts_when_its_interval_leaves_one_out() -> None:
    """Three rounds of the same server differ by noise; a server that is a fifth slower does not."""
    (same,) = compare(run_of([100, 103, 98]), run_of([101, 97, 104]))
    assert not same.differs
    (slower,) = compare(run_of([100, 103, 98]), run_of([81, 79, 83]))
    assert (slower.differs, slower.verdict) == (True, "worse")
    assert slower.low < 0.8 < slower.high
    assert slower.sure == pytest.approx(0.9)
    assert "| busy | off | rps | 0.81 |" in markdown([slower])


def test_a_comparison_with_an_invalid_run_says_so() -> None:
    """A valid one is compared without a word, and so is one of a version that did not judge."""
    verdict = sentences({"steady": {"hit": GOOD | {"errors": 3.0}}}, ["hit"], IDLE)
    assert "3 answers of steady/hit failed" in caution({"verdict": verdict})
    for fair in ({}, {"verdict": sentences({"steady": {"hit": GOOD}}, ["hit"], IDLE)}):
        assert caution(fair) == ""


def test_what_cannot_be_compared_is_refused_before_the_run(tmp_path: Path) -> None:
    """A result without its rounds (those in `results/` were cut), one of another command, and no result at all."""
    for content in ('{"scenario": "x"}', '{"rows": [{"share": 0.1}]}', "no JSON"):
        (tmp_path / "result.json").write_text(content)
        with pytest.raises(ArgumentTypeError, match=r"result\.json"):
            earlier_run(str(tmp_path / "result.json"))
    with pytest.raises(ArgumentTypeError, match="absent"):
        earlier_run(str(tmp_path / "absent"))
    (tmp_path / "result.json").write_text(json.dumps(run_of([100.0])))
    assert earlier_run(str(tmp_path / "result.json")) == tmp_path / "result.json"


def test_added_latency_is_compared_with_the_model_s_own_taken_off() -> None:
    def run(hit: float) -> dict[str, Any]:
        return {"rows": [["steady", arm, 0, {"p50": each}] for arm, each in (("direct", 1.0), ("hit", 1.0 + hit))]}

    (ratio,) = compare(run(10.0), run(20.0))
    assert ratio.figure == "added_p50"
    assert ratio.ratio == pytest.approx(2.0)
    assert ratio.sure == 0  # one round says nothing


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in ("meta", "br", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("svg", "text", "table", "tr", "h1"):
            while self.open.pop() != tag:
                pass


def test_the_page_is_whole_and_loads_nothing() -> None:
    """Bars as SVG, for dark screens too; servers that are far apart stand on one logarithmic scale."""
    scenario = load(HERE / "default.yaml")
    summary = {
        measure.name: {arm: GOOD | {"rps": 10.0**place, "cpu_us_token": 30.0} for place, arm in enumerate(arms)}
        for measure in scenario.measures
        if (arms := [arm for arm in measure.arms if arm != "direct"])
    }
    drawn = plots.pictures(summary, scenario)
    assert any("logarithmic" in each for each in drawn)
    table = "Scenario `x`\n\n**Title**\n\n| | p50 | CPU |\n|---|---|---|\n| off | 1.0 | 2 |\n"
    page = plots.page(table, drawn, {"at": "now", "verdict": ["This run is *invalid*: <b>.", "b", "c"]})
    checker = _Checker()
    checker.feed(page)
    assert {"svg", "rect", "table"} <= checker.seen
    assert "prefers-color-scheme:dark" in page
    assert "<b>invalid</b>: &lt;b&gt;." in page
    assert "src=" not in page
    assert "href=" not in page


def test_an_overload_report_names_up_to_where_it_holds(tmp_path: Path) -> None:
    def row(share: float, degraded: float, errors: int = 0) -> dict[str, float]:
        figures = {"share": share, "rps": 100 * share, "p50": 5.0, "p99": 9.0, "late_p99": 0.1, "learned_s": 60.0}
        return figures | {"errors": errors, "status_hit": 1 - degraded, "status_degraded": degraded}

    found: dict[str, Any] = {"machine": {}, "busy_before": 0.0, "capacity_rps": 100.0}
    found["rows"] = [row(0.5, 0.0), row(1.0, 0.001), row(3.0, 0.4, errors=7)]
    found["verdict"] = overload_sentences(found)
    said = overload.table(found)
    assert "This run is valid" in said
    assert "Up to 100% of capacity" in said
    assert "7 fail" in said
    assert "| 300% |" in said


@pytest.mark.parametrize(
    ("spoilt", "busy", "word"),
    [
        ({"errors": 2}, {}, "failed"),
        ({"late_p99": 40.0}, {}, "late"),
        ({}, {"busy_before": 1.5}, "cores busy before it"),
        ({}, {"busy_during": 0.6}, "cores busy meanwhile"),
    ],
)
def test_an_overload_report_says_why_it_is_invalid(
    spoilt: dict[str, float], busy: dict[str, float], word: str
) -> None:
    """Beyond capacity answers may fail and come late: that is what it measures."""
    below = {"share": 0.5, "rps": 50.0, "errors": 0, "late_p99": 0.1, "learned_s": 60.0}
    beyond = below | {"share": 2.0, "errors": 9, "late_p99": 90.0}
    fair = {"machine": {}, "busy_before": 0.0, "rows": [below, beyond]}
    assert "This run is valid" in overload_sentences(fair)[0]
    trust, _, advice = overload_sentences(fair | busy | {"rows": [below | spoilt, beyond]})
    assert "*invalid*" in trust
    assert word in trust
    assert "Do not compare" in advice
