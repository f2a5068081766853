"""Payloads of columns become the same as payloads of single points, only sooner."""

from dataclasses import asdict
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.ingest.batch import Batch
from cloud.settings import Ingest as Settings
from cloud.settings import Limits
from tests.support.intakes import NOW_MS, PUMP, chunk_of, fates_of, filled, new_intake
from wire.ids import DeviceKey

_HOUR_MS = 3_600_000
_STRICT = Settings(
    late_after_s=60, limits=Limits(max_past_days=1, max_values=2, max_series_per_device=3)
)

_times = st.lists(
    st.integers(-4, 9).map(lambda n: NOW_MS - n * 20_000)
    | st.sampled_from([NOW_MS + 2 * _HOUR_MS, NOW_MS - 25 * _HOUR_MS]),
    min_size=1,
    max_size=4,
)
# Nearly what is sent in life: sequences that follow each other (None), times that ascend.
_payloads: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    boot=st.sampled_from(["a", "a", "b"]),
    seq=st.none() | st.integers(1, 12),
    first=st.none() | st.integers(1, 9),
    metrics=st.sampled_from([["t"], ["t", "u"], ["u", "t"], ["t", "u", "v"], ["v"], ["w"]]),
    ts=_times.map(sorted) | _times,
    after_ms=st.sampled_from([0, 0, 400_000]),
)


def _columns(told: dict[str, Any]) -> bytes:
    values = {name: [float(ts_ms) for ts_ms in told["ts"]] for name in told["metrics"]}
    return msgspec.json.encode(
        {**_head(told), "seq": told["seq"], "ts": told["ts"], "values": values}
    )


def _points(told: dict[str, Any]) -> bytes:
    points = [
        {"ts": ts, "seq": told["seq"] + at, "values": dict.fromkeys(told["metrics"], float(ts))}
        for at, ts in enumerate(told["ts"])
    ]
    return msgspec.json.encode({**_head(told), "points": points})


def _head(told: dict[str, Any]) -> dict[str, Any]:
    return {"boot": told["boot"]} | ({"first": told["first"]} if told["first"] else {})


def _said(batch: Batch) -> Any:
    """Return all that a batch says, but the payloads of its letters."""
    letters = [(one.reason, one.readings, one.only) for one in batch.entry.letters]
    points = batch.points
    tallies = {device: asdict(tally) for device, tally in batch.entry.tallies.items()}
    return (
        (points.series, points.ts_ms, points.values, points.order),
        (batch.ends, [list(taken) for taken in batch.taken], batch.reached, batch.readings),
        (letters, tallies, batch.entry.boots, batch.entry.series),
    )


@settings(max_examples=500)
@given(st.sampled_from([1, 2**32 - 4]), st.lists(_payloads, min_size=2, max_size=6))
def test_table_has_the_fate_that_its_readings_would_have(
    first_seq: int, several: list[dict[str, Any]]
) -> None:
    """Gaps, duplicates, late, early and unbelievable times, limits: all as one by one."""
    by_table, by_point = new_intake(_STRICT), new_intake(_STRICT)
    following, received_ms = dict.fromkeys("ab", first_seq), NOW_MS

    for told in several:
        told["seq"] = told["seq"] or following[told["boot"]]
        following[told["boot"]] = max(following[told["boot"]], told["seq"] + len(told["ts"]))
        chunks = chunk_of(_columns(told)), chunk_of(_points(told))
        received_ms += told["after_ms"]
        for chunk in chunks:
            chunk.received_ms = received_ms
        table = filled(chunks[0], intake=by_table)
        points = filled(chunks[1], intake=by_point)

        assert _said(table) == _said(points)


def test_table_is_taken_with_one_shape() -> None:
    """Whatever remembers what it makes of a shape makes it once for all of them."""
    told = {"boot": "a", "seq": 1, "first": None, "metrics": ["t", "u"], "ts": [NOW_MS] * 50}
    intake = new_intake()
    filled(chunk_of(_columns(told)), intake=intake)

    batch = filled(chunk_of(_columns({**told, "seq": 51})), intake=intake)

    (shape,) = set(batch.points.rows.shapes)
    assert fates_of(batch) == (50, 0, 0, 0)
    assert [(DeviceKey(*key[:2]), key.metric) for key in shape.series] == [(PUMP, "t"), (PUMP, "u")]
    assert batch.ends == [50]
    assert list(batch.taken[0]) == list(range(50))


def test_table_across_the_end_of_32_bits_has_the_orders_of_its_readings() -> None:
    """A sequence's low bits begin anew there; the boot's stay what they are."""
    told = {"boot": "a", "seq": 2**32 - 9, "first": None, "metrics": ["t"], "ts": [NOW_MS] * 5}
    by_table, by_point = new_intake(), new_intake()

    for seq in (2**32 - 9, 2**32 - 4):
        table = filled(chunk_of(_columns({**told, "seq": seq})), intake=by_table)
        points = filled(chunk_of(_points({**told, "seq": seq})), intake=by_point)

        assert _said(table) == _said(points)


def test_table_of_more_values_than_a_reading_may_have_is_refused() -> None:
    """Also when the device has all its series already."""
    told = {"boot": "a", "first": None, "ts": [NOW_MS] * 2}
    intake = new_intake(_STRICT)
    filled(chunk_of(_columns({**told, "seq": 1, "metrics": ["t", "u"]})), intake=intake)
    filled(chunk_of(_columns({**told, "seq": 3, "metrics": ["v"]})), intake=intake)

    batch = filled(
        chunk_of(_columns({**told, "seq": 5, "metrics": ["t", "u", "v"]})), intake=intake
    )

    assert fates_of(batch) == (0, 0, 2, 0)
