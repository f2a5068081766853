"""The short way into a batch does what the long way does, or nothing."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.ingest.batch import Batch
from cloud.ingest.intake.plain import Plain
from cloud.ingest.intake.taking import Taking
from cloud.ingest.ledger.accounts import Remembered
from cloud.ingest.ledger.known import Known
from cloud.settings import Ingest as Settings
from cloud.settings import Limits
from tests.support.intakes import NOW_MS, PUMP, chunk_of
from wire.ids import MetricName
from wire.messages import Decoded, Reading, Refusal, Table

_HOUR_MS = 3_600_000
_STRICT = Settings(
    late_after_s=60, limits=Limits(max_past_days=1, max_values=2, max_series_per_device=3)
)
_Told = dict[str, Any]

# Nearly what is sent in life: sequences that follow each other (None), times that ascend from the
# newest one on, the same metrics each time.
_steps = st.lists(st.sampled_from([0, 1_000, 30_000]), min_size=1, max_size=4)
_times = st.lists(
    st.sampled_from([NOW_MS - 25 * _HOUR_MS, NOW_MS - 90_000, NOW_MS, NOW_MS + 2 * _HOUR_MS]),
    min_size=1,
    max_size=4,
)
_messages: st.SearchStrategy[_Told] = st.builds(
    dict,
    boot=st.sampled_from("aaab"),
    seq=st.just(None) | st.just(None) | st.integers(1, 12),
    first=st.none() | st.integers(1, 9),
    metrics=st.sampled_from([["t"]] * 5 + [["t", "u"], ["u", "t"], ["t", "u", "v"], ["v"], ["w"]]),
    steps=_steps | _steps | st.none(),
    ts=_times.map(sorted) | _times,
    after_ms=st.sampled_from([0, 0, 400_000]),
    flags=st.sampled_from([0x32, 0x32, 0x33]),
)


class _Way:
    """What becomes of messages of one device; the short way is tried when it `is_short`."""

    def __init__(self, *, is_short: bool) -> None:
        self.plain = Plain(_STRICT) if is_short else None
        self.taking = Taking(_STRICT)
        self.taking.begin(PUMP.tenant, 0)
        self.known = Known(PUMP, Remembered())
        self.received_ms = NOW_MS

    def said(self, told: _Told) -> Any:
        """Take a message as a batch of its own; return all that the batch says."""
        self.received_ms += told["after_ms"]
        chunk, batch = chunk_of(b"", flags=told["flags"]), Batch()
        chunk.received_ms = self.received_ms
        tally = batch.tally(self.known, chunk.received_ms)
        decoded = _decoded(told)
        if self.plain and self.plain.take(batch, self.known, chunk, 0, decoded):
            indexes: Sequence[int] = range(decoded.size())
            refused: list[Refusal] = []
        else:
            indexes, refused = self.taking.take(batch, self.known, chunk, 0, decoded.by_reading())
        batch.seal()
        points, entry = batch.points, batch.entry
        return (
            (points.series, points.ts_ms, points.values, points.order),
            (list(indexes), refused, batch.reached, entry.boots, entry.series, asdict(tally)),
        )


def _decoded(told: _Told) -> Decoded | Table:
    metrics = tuple(map(MetricName, told["metrics"]))
    columns = [[float(ts_ms) for ts_ms in told["ts"]] for _ in metrics]
    table = Table(metrics, told["ts"], columns, told["boot"], told["seq"], told["first"])
    return table.by_reading() if len(told["ts"]) == 1 else table


def _told(seq: int, *metrics: str, count: int = 2, first: int | None = None) -> _Told:
    return {
        "boot": "a",
        "seq": seq,
        "first": first,
        "metrics": metrics or ("t",),
        "ts": [NOW_MS] * count,
        "after_ms": 0,
        "flags": 0x32,
    }


@settings(max_examples=1_000)
@given(st.sampled_from([1, 2**32 - 4]), st.lists(_messages, min_size=2, max_size=6))
def test_plain_does_what_taking_does(first_seq: int, several: list[_Told]) -> None:
    """Gaps, duplicates, late, early and unbelievable times, limits, skew: all as one by one."""
    short, long = _Way(is_short=True), _Way(is_short=False)
    following, newest_ms = dict.fromkeys("ab", first_seq), NOW_MS - 90_000

    for told in several:
        if told["steps"]:
            told["ts"] = list(accumulate(told["steps"], initial=newest_ms))[1:]
            newest_ms = told["ts"][-1]
        told["seq"] = told["seq"] or following[told["boot"]]
        following[told["boot"]] = max(following[told["boot"]], told["seq"] + len(told["ts"]))

        assert short.said(told) == long.said(told)


def test_plain_across_the_end_of_32_bits_has_the_orders_of_its_readings() -> None:
    """A sequence's low bits begin anew there; the boot's stay what they are."""
    short, long = _Way(is_short=True), _Way(is_short=False)

    for seq in (2**32 - 9, 2**32 - 4):
        told = _told(seq, count=5)

        assert short.said(told) == long.said(told)


def test_plain_leaves_what_has_more_values_than_a_reading_may_have() -> None:
    """Also when the device has all their series already."""
    short, long = _Way(is_short=True), _Way(is_short=False)

    large = _told(5, "t", "u", "v"), _told(7, "t", "u", "v", count=1)
    for told in (_told(1, "t", "u"), _told(3, "v"), *large):
        assert short.said(told) == long.said(told)


def test_plain_leaves_a_text_that_is_too_long() -> None:
    """Its series is known, and its sequence follows."""
    short_texts = Settings(limits=Limits(max_text_chars=3))
    plain, taking = Plain(short_texts), Taking(short_texts)
    known, batch, chunk = Known(PUMP, Remembered()), Batch(), chunk_of(b"")
    taking.begin(PUMP.tenant, 0)
    batch.tally(known, NOW_MS)
    taking.take(batch, known, chunk, 0, _saying("on", seq=1))

    taken = [plain.take(batch, known, chunk, 0, _saying(text, seq=2)) for text in ("long", "off")]

    assert taken == [False, True]


def _saying(text: str, *, seq: int) -> Decoded:
    return Decoded([Reading({MetricName("mode"): text}, NOW_MS, "a", seq)])


def test_plain_takes_what_follows() -> None:
    """Tables and single readings, with one shape for the same metrics; nothing is left over."""
    plain, known, batch = Plain(Settings()), Known(PUMP, Remembered()), Batch()
    taking, chunk = Taking(Settings()), chunk_of(b"")
    taking.begin(PUMP.tenant, 0)
    tally = batch.tally(known, NOW_MS)
    taking.take(batch, known, chunk, 0, _decoded(_told(1, "t", "u")).by_reading())

    taken = [
        plain.take(batch, known, chunk, 0, _decoded(_told(seq, "t", "u", count=count)))
        for seq, count in ((3, 50), (53, 1), (54, 2))
    ]

    assert taken == [True] * 3
    assert tally.stored == len(batch.points.rows) == 55
    assert len(set(batch.points.rows.shapes)) == 1


def test_plain_leaves_a_reading_without_a_name() -> None:
    """What has no boot, no sequence or no time is looked at."""
    plain, known, batch, chunk = (
        Plain(Settings()),
        Known(PUMP, Remembered()),
        Batch(),
        chunk_of(b""),
    )
    known.new_boot("a").add(1)
    values: Any = {"t": 1.0}
    readings = [
        Reading(values, NOW_MS, None, 2),
        Reading(values, NOW_MS, "a", None),
        Reading(values, None, "a", 2),
    ]

    taken = [plain.take(batch, known, chunk, 0, Decoded([one])) for one in readings]

    assert taken == [False] * 3
    assert not len(batch.points)
