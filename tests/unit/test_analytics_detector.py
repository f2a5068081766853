"""Promises that every detector and channel keeps, whatever the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import cloud.analytics
from cloud.analytics import channels
from cloud.analytics.ensemble import COOLDOWN_ROWS, WARM_UP_ROWS, Bank, Detector
from cloud.analytics.layout import WIDTH, Column

Floats = NDArray[np.float64]

_values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-100, 100),
    st.sampled_from([0.0, 1.0, -1e-320, 1.7e308, -1.7e308]),
)
_series = st.lists(_values, min_size=1, max_size=120)
_nasty = {
    "constant": np.full(400, 7.3),
    "huge": np.random.default_rng(1).normal(size=400) * 1e307,
    "tiny": np.random.default_rng(2).normal(size=400) * 1e-310,
    "alternating": np.tile([0.0, 1e12], 200),
    "explosion": np.geomspace(1e-300, 1e300, 400),
    "mostly constant": np.where(np.arange(400) % 97 == 0, 5.0, 0.0),
}


def _score(bank: Bank, columns: Floats) -> Floats:
    """Score float64[rows, series]."""
    steps = np.arange(len(columns), dtype=np.int64)
    return np.array(
        [
            bank.update(np.full(columns.shape[1], at), row)
            for at, row in zip(steps, columns, strict=True)
        ]
    )


def _noise(rows: int, series: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(20.0, 0.5, size=(rows, series))


@given(_series)
@settings(max_examples=60, deadline=None)
def test_scores_lie_between_0_and_1(values: list[float]) -> None:
    """Any finite numbers get a score from 0 to 1 and leave finite state."""
    bank = Bank(1)

    scores = _score(bank, np.array(values)[:, None])

    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.isfinite(bank.snapshot()).all()


@pytest.mark.parametrize("name", sorted(_nasty))
def test_nasty_series_are_survived(name: str) -> None:
    """Constants, huge, tiny and exploding values are scored without a warning."""
    scores = _score(Bank(1), _nasty[name][:, None])

    assert ((scores >= 0) & (scores <= 1)).all()


@given(_series)
@settings(max_examples=30, deadline=None)
def test_channels_stay_finite(values: list[float]) -> None:
    """Every channel measures a finite, non-negative number."""
    state = np.zeros((WIDTH, 1))

    for value in np.clip(values, -1e300, 1e300):
        one = np.array([value])
        channels.begin(state, one)
        measured = channels.measure(state, one)
        channels.learn(state, one, measured)

        assert (measured.z >= 0).all()
        assert np.isfinite(measured.z).all()


def test_input_is_not_mutated() -> None:
    """The caller's arrays are the same after an update."""
    rows, times, values = np.array([1, 0, 1]), np.array([1, 2, 3]), np.array([1.0, np.nan, 3e305])
    before = [array.copy() for array in (rows, times, values)]

    Bank(2).update_rows(rows, times, values)
    Bank(3).update(times, values)

    for array, copy in zip((rows, times, values), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=200), st.integers(0, 2**32), st.data())
@settings(max_examples=40, deadline=None)
def test_batches_do_not_matter(rows: list[int], seed: int, data: st.DataObject) -> None:
    """One batch with repeated series gives the scores of the same points one by one."""
    values = np.random.default_rng(seed).normal(size=len(rows))
    cut = data.draw(st.integers(0, len(rows)))
    at, times = np.array(rows), np.arange(len(rows), dtype=np.int64)
    whole, single = Bank(4), Bank(4)

    parts = [
        whole.update_rows(at[part], times[part], values[part]).scores
        for part in (slice(cut), slice(cut, None))
    ]
    singles = [
        single.update_rows(at[i : i + 1], times[i : i + 1], values[i : i + 1]).scores[0]
        for i in range(len(rows))
    ]

    np.testing.assert_array_equal(np.concatenate(parts), singles)
    np.testing.assert_array_equal(whole.snapshot(), single.snapshot())


def test_order_of_series_does_not_matter() -> None:
    """Series are independent: permuted columns give permuted scores."""
    columns = _noise(300, 5) * np.geomspace(1, 1e6, 5)
    order = np.array([3, 0, 4, 1, 2])

    straight, permuted = _score(Bank(5), columns), _score(Bank(5), columns[:, order])

    np.testing.assert_array_equal(straight[:, order], permuted)


def test_bank_agrees_with_single_detectors() -> None:
    """A bank gives the scores of as many single detectors, also where samples are missing."""
    columns = _noise(300, 3)
    columns[::7, 1] = np.nan
    singles = [Detector() for _ in range(3)]

    banked = _score(Bank(3), columns)

    for series, single in enumerate(singles):
        present = np.flatnonzero(~np.isnan(columns[:, series]))
        alone = [single.update(int(at), float(columns[at, series])) for at in present]
        np.testing.assert_array_equal(banked[present, series], alone)


def test_snapshot_continues_where_it_was_taken() -> None:
    """A restored bank scores on as if nothing had happened."""
    columns = _noise(400, 3)
    bank = Bank(3)
    _score(bank, columns[:200])

    restored = Bank.from_snapshot(bank.snapshot())

    np.testing.assert_array_equal(_score(restored, columns[200:]), _score(bank, columns[200:]))


def test_grown_bank_keeps_its_series() -> None:
    """Growing adds fresh series and changes no old one."""
    bank = Bank(2)
    _score(bank, _noise(50, 2))
    before = bank.snapshot()

    bank.grow(5)

    np.testing.assert_array_equal(bank.snapshot()[:2], before)
    np.testing.assert_array_equal(bank.snapshot()[2:], Bank(3).snapshot())


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("quiet_rows", [100, 150, 400])
def test_obvious_fault_is_flagged(quiet_rows: int, sign: int, length: int) -> None:
    """A spike or level shift of 8 sigma is flagged within 3 points in nearly every series."""
    columns = _noise(quiet_rows + 3, 300, seed=quiet_rows)
    columns[quiet_rows : quiet_rows + length] += sign * 8 * 0.5

    scores = _score(Bank(300), columns)

    flagged = (scores[quiet_rows:] >= Bank.threshold).any(axis=0)
    assert flagged.mean() >= 0.98


def test_false_alarms_are_rare() -> None:
    """White noise raises less than one alarm in 5,000 points, from the first point on."""
    scores = _score(Bank(200), _noise(1500, 200))

    assert (scores >= Bank.threshold).mean() < 1 / 5000


def test_no_alert_before_warm_up() -> None:
    """Nothing alerts while too little is known."""
    columns = _noise(WARM_UP_ROWS, 50)
    columns[30:] += 1000

    assert (_score(Bank(50), columns) < Bank.threshold).all()


def test_one_event_is_told_once() -> None:
    """After an alert the score stays below the threshold until the cooldown is over."""
    columns = _noise(200 + COOLDOWN_ROWS, 1)
    columns[200:] += np.linspace(100, 1e6, COOLDOWN_ROWS)[:, None]

    alerts = np.flatnonzero(_score(Bank(1), columns)[:, 0] >= Bank.threshold)

    np.testing.assert_array_equal(alerts, [200])


def test_what_alerts_again_and_again_becomes_a_habit() -> None:
    """A device that switches on and off is told a few times, then no more."""
    switched = np.where(np.arange(2600) // 150 % 2, 900.0, 60.0)[:, None]

    alerts = _score(Bank(1), switched + _noise(2600, 1)) >= Bank.threshold

    assert 1 <= alerts[:1500].sum() <= 9
    assert alerts[1500:].sum() == 0


def test_second_fault_is_flagged_like_the_first() -> None:
    """One fault does not make the next one of its size ordinary."""
    columns = _noise(901, 100)
    columns[[300, 600, 900]] += 8.0

    alerts = _score(Bank(100), columns) >= Bank.threshold

    assert alerts[[300, 600, 900]].mean() >= 0.97


def test_worst_channel_and_expected_value_are_told() -> None:
    """An alert names a channel and the level that was expected."""
    bank = Bank(1)
    _score(bank, _noise(300, 1))

    found = bank.update_rows(np.array([0]), np.array([300]), np.array([90.0]))

    assert found.scores[0] >= bank.threshold
    assert found.expected[0] == pytest.approx(20.0, abs=1.0)
    assert bank.channels[found.channel[0]] in {"jump", "residual", "range"}


def test_snapshot_of_another_version_is_refused() -> None:
    """State with other columns, or with what is not finite, is not loaded."""
    broken = Bank(1).snapshot()
    broken[0, Column.LEVEL] = np.inf

    with pytest.raises(ValueError, match="another version"):
        Bank.from_snapshot(Bank(1).snapshot(), ("level",))
    with pytest.raises(ValueError, match="not finite"):
        Bank.from_snapshot(broken)


def test_public_names_follow_the_protocol() -> None:
    """`cloud.analytics` exports a factory of detectors with a bank, and the bank itself."""
    detector = cloud.analytics.detector()

    assert 0 < detector.threshold <= 1
    assert cloud.analytics.detector.bank is cloud.analytics.bank
    assert len(cloud.analytics.bank(3)) == 3


def test_series_that_moved_during_a_long_silence_is_not_an_anomaly() -> None:
    """After a gap the new level is learnt; how noisy the series is stays known."""
    bank, quiet = Bank(1), _noise(300, 1)[:, 0]
    later = _noise(200, 1, seed=1)[:, 0] + 40.0
    later[150] += 10.0
    times = np.r_[np.arange(300), 10_000 + np.arange(200)] * 1_000_000_000

    scores = np.array(
        [
            bank.update(np.array([ts]), np.array([value]))[0]
            for ts, value in zip(times, np.r_[quiet, later], strict=True)
        ]
    )

    alerts = np.flatnonzero(scores >= bank.threshold)
    assert alerts.tolist() == [450]
