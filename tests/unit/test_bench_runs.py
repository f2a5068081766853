"""The measurements' arithmetic: medians, ratios, time left, the JSON line."""

import json

import pytest

from bench.report import Report, Row, show
from bench.runs import Clock, Run, carry_out, minutes, ratio
from bench.steps import chains, growth, http
from bench.steps.contract import IN_FLIGHT, KEYS, counted_up, key_of


def test_ratio_is_of_the_medians() -> None:
    """One slow run of three changes no ratio."""
    series = {"ours": [100.0, 900.0, 1_000.0], "theirs": [100.0, 90.0, 5.0]}

    found = ratio(series, "ours", "theirs")

    assert found == 10.0


def test_carry_out_keeps_the_runs_of_each_name_in_order() -> None:
    """What the rounds found stands together, under its name."""
    values = iter([1.0, 2.0, 3.0])
    run = Run("counting", 1.0, lambda: {"count": next(values)})

    series = carry_out([run, run, run])

    assert series == {"count": [1.0, 2.0, 3.0]}


def test_carry_out_says_what_each_run_found(capsys: pytest.CaptureFixture[str]) -> None:
    """Each run has a line on the error output, so that the JSON stays alone on the other."""
    carry_out([Run("counting", 1.0, lambda: {"count": 12.5})])

    printed = capsys.readouterr()
    assert printed.err.startswith("1/1 counting: count 12.5, ")
    assert not printed.out


def test_clock_reckons_with_the_pace_so_far() -> None:
    """Runs that took twice their estimates double what is left."""
    clock = Clock([10.0, 10.0, 20.0])
    at_first_s = clock.left_s()

    clock.done(estimate_s=10.0, took_s=20.0)

    assert at_first_s == 40.0
    assert clock.left_s() == 60.0


def test_minutes_are_for_people() -> None:
    """Seconds have two digits."""
    assert minutes(125.4) == "2:05 min"


def test_chain_figures_are_those_of_the_promise() -> None:
    """Each promised ratio is ours over the peer on the same ground."""
    speeds = {
        "ours_sqlite": 12_000,
        "ours_postgres": 9_000,
        "taskiq": 1_200,
        "faststream": 1_500,
        "procrastinate": 150,
        "dbos_sqlite": 60,
        "dbos_postgres": 90,
    }
    series = {f"{name}.chains_per_s": [float(speed)] * 3 for name, speed in speeds.items()}
    series |= {f"{name}.p50_ms": [0.4, 0.5, 9.0] for name in speeds}
    series |= {f"{name}.committed_p50_ms": [0.6, 0.7, 9.0] for name in speeds}

    found = chains.figures(series)

    assert found["vs_dbos_sqlite"] == 200.0
    assert found["vs_dbos_postgres"] == 100.0
    assert found["vs_taskiq_sqlite"] == 10.0
    assert found["vs_taskiq_postgres"] == 7.5
    assert found["p50_ms"] == 0.7
    assert found["p50_last_line_ms"] == 0.5


def test_growth_is_reckoned_within_each_run() -> None:
    """A run on a slow machine has a slow first thousand, too: runs are not mixed."""
    series = {
        "first_p50_ms": [1.0, 4.0, 1.0],
        "last_p50_ms": [1.05, 4.0, 1.1],
        "early_bytes": [100.0],
        "late_bytes": [105.0],
    }

    found = growth.figures(series)

    assert found == {"p50_growth": 1.05, "rss_growth": 1.05}


def test_hot_key_figures_are_medians() -> None:
    """Throughput and re-runs of one key."""
    series = {
        "hot.per_s": [900.0, 1_000.0, 100.0],
        "hot.reruns": [50.0, 40.0, 900.0],
        "hot.runs_a_call": [1.01, 1.008, 3.0],
    }

    found = http.hot_figures(series)

    assert found == {"hot_key_per_s": 900, "hot_key_reruns": 50, "hot_key_runs_a_call": 1.01}


def test_a_quick_try_is_never_of_nothing() -> None:
    """The smallest scale still measures something."""
    assert chains.scaled(40_000, 1.0) == 40_000
    assert chains.scaled(500, 0.01) == 20


def test_last_line_is_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs read the last line; figures below a hundred keep what is behind the point."""
    report = Report("title", [Row("wait", [0.4321, 0.5, 0.6], "ms")], {"p50_ms": 0.5})

    show(report, only_json=False)

    *table, last = capsys.readouterr().out.splitlines()
    assert json.loads(last) == {"p50_ms": 0.5}
    assert "0.5 ms  (0.432 / 0.5 / 0.6)" in table[1]


def test_chains_under_way_have_keys_of_their_own() -> None:
    """A peer without transactions loses nothing: no two chains under way share a key."""
    under_way = [key_of(index) for index in range(990, 990 + IN_FLIGHT)]

    assert len(set(under_way)) == IN_FLIGHT
    assert key_of(0) == key_of(KEYS)


def test_state_counts_up_from_one() -> None:
    """The first step of a key finds no state."""
    first = counted_up(None, "key-1")

    assert first == {"count": 1, "name": "key-1"}
    assert counted_up(first, "key-1")["count"] == 2
