"""Recordings: made, read, refused; the outbox; accounts."""

from pathlib import Path

import numpy as np
import pytest

from cloud.analytics.ensemble import Detector
from devices.simulator.accounts import parse_logins, read_logins
from devices.simulator.errors import BadInput
from devices.simulator.outbox import Outbox
from devices.simulator.recorded import Row, Span, read_rows, scan, shift_to
from devices.simulator.recording import RecordedFault, write_recording
from wire.ids import MetricName


def _file(folder: Path, text: str) -> Path:
    path = folder / "recorded.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "time_text",
    [
        "2023-11-14T22:13:20Z",
        "2023-11-14T23:13:20+01:00",
        "2023-11-14 22:13:20",
        "1700000000000",
    ],
)
def test_times_are_read_in_three_forms(tmp_path: Path, time_text: str) -> None:
    """RFC 3339, plain UTC and Unix milliseconds mean the same moment."""
    path = _file(tmp_path, f"timestamp,value\n{time_text},21.5\n")

    assert list(read_rows(path)) == [Row(1_700_000_000_000, 21.5)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("timestamp,value\n", "no rows"),
        ("1000,1\n2000,x\n", "line 2: expected timestamp,value"),
        ("1000,1\ntomorrow,2\n", "line 2: expected"),
        ("1000\n", "line 1: expected"),
        ("1000,nan\n", "line 1: the value is not finite"),
        ("2000,1\n1000,2\n", "row 2 is older"),
    ],
)
def test_bad_recording_is_refused_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    """Nothing is sent from a file with a wrong row; the message says where it is."""
    with pytest.raises(BadInput, match=reason):
        scan(_file(tmp_path, text))


def test_missing_recording_is_bad_input(tmp_path: Path) -> None:
    """A file that is not there is the user's to correct."""
    with pytest.raises(BadInput, match="No such file"):
        scan(tmp_path / "none.csv")


def test_shift_moves_the_last_row_to_the_end() -> None:
    """The same amount for every row, so that distances stay."""
    assert 3000 + shift_to(10_000, Span(3, 1000, 3000)) == 10_000


def test_recording_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    """Recordings are made, not committed: the seed makes them repeatable."""
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_recording(tmp_path / name, seed=seed, fault=RecordedFault())

    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()
    assert (tmp_path / "a").read_text() != (tmp_path / "c").read_text()
    assert scan(tmp_path / "a").rows == 600


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["shift", "spike"])
def test_detector_finds_the_fault_of_a_recording(tmp_path: Path, seed: int, kind: str) -> None:
    """What the smoke test relies on: an alert within 3 rows of the fault, and none before it."""
    write_recording(tmp_path / "r.csv", seed=seed, fault=RecordedFault(kind=kind, at=500))
    detector = Detector()

    scores = [detector.update(row.ts_ms, row.value) for row in read_rows(tmp_path / "r.csv")]

    alerts = np.flatnonzero(np.array(scores) >= detector.threshold)
    assert 500 <= alerts[0] <= 502


def test_outbox_numbers_readings_without_a_hole() -> None:
    """Readings wait in order until they are delivered."""
    outbox = Outbox("k3")
    for at_ms in (10, 20, 30):
        outbox.add({MetricName("flow"): 1.0}, ts_ms=at_ms)

    first = outbox.oldest(2)
    outbox.delivered(2)

    assert [reading.seq for reading in first] == [1, 2]
    assert [(reading.seq, reading.ts_ms) for reading in outbox.oldest(9)] == [(3, 30)]


def test_full_outbox_drops_the_oldest() -> None:
    """It is bounded; what was lost is counted and leaves a gap before the first."""
    outbox = Outbox("k3", size=2)
    for at_ms in range(5):
        outbox.add({MetricName("flow"): 1.0}, ts_ms=at_ms)

    assert [reading.seq for reading in outbox.oldest(9)] == [4, 5]
    assert outbox.dropped == 3


def test_accounts_others_can_read_are_refused(tmp_path: Path) -> None:
    """A file with passwords must be its owner's alone."""
    path = tmp_path / "accounts.json"
    path.write_text('[{"tenant":"a","device":"d","mqtt_username":"a/d","mqtt_password":"secret"}]')

    path.chmod(0o644)
    with pytest.raises(BadInput, match="chmod 600"):
        read_logins(path)
    path.chmod(0o600)

    assert read_logins(path)[0].username == "a/d"


@pytest.mark.parametrize("text", [b"", b"{}", b'[{"tenant":"a"}]', b"\xff"])
def test_accounts_that_are_none_are_refused(text: bytes) -> None:
    """Anything but a list of accounts is the user's to correct."""
    with pytest.raises(BadInput, match="not a list of accounts"):
        parse_logins(text)


def test_accounts_with_a_topic_in_the_name_are_refused() -> None:
    """A device's name must be one level of a topic."""
    text = b'[{"tenant":"a","device":"+","mqtt_username":"x","mqtt_password":"y"}]'

    with pytest.raises(BadInput, match=r"one of / \+ #"):
        parse_logins(text)
