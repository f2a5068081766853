"""Columns of points, and what tells readings of one millisecond apart."""

import pytest

from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch, order_among, order_of

_KEY = SeriesKey(TenantId("acme"), DeviceId("pump"), MetricName("t"))


def test_order_is_the_same_each_time_and_on_every_machine() -> None:
    """It is stored, so it may never change."""
    assert order_of("k", 1) == order_of("k", 1) == 604_141_356_964_642_817


@pytest.mark.parametrize("boot", ["", "k", "ü", "x" * 200])
@pytest.mark.parametrize("seq", [1, 2**32 - 1, 2**32, 2**63 - 1])
def test_order_fits_a_signed_64_bit_column(boot: str, seq: int) -> None:
    """Whatever a device calls its boots and sequences."""
    assert 0 <= order_of(boot, seq) < 2**63


def test_order_tells_sequences_and_boots_apart() -> None:
    """Of one boot it ascends with the sequence; boots do not meet."""
    orders = [order_of("k", seq) for seq in range(1, 100)]

    assert orders == sorted(set(orders))
    assert not set(orders) & {order_of("k2", seq) for seq in range(1, 100)}


def test_batch_fills_up_the_order() -> None:
    """Who says nothing of an order has zeros, and the list that was given is left alone."""
    given = [5]

    batch = PointBatch([_KEY] * 2, [1, 2], [1.0, 2.0], given)
    batch.append(_KEY, 3, 3.0)
    batch.append(_KEY, 3, 3.0, order=7)

    assert (batch.order, given) == ([5, 0, 0, 7], [5])


def test_order_among_is_by_text_then_by_the_rest_of_the_time() -> None:
    """No text and no rest is 0; long texts count whole; the sum stays below 2^63."""
    long, longer = "x" * 600, "x" * 599 + "y"

    assert order_among("", 0) == 0
    assert order_among("", 999_999) == 999_999
    assert order_among("a", 1) - order_among("a", 0) == 1
    assert len({order_among(text, 0) >> 20 for text in ("", "a", "b", long, longer)}) == 5
    assert 0 <= order_among("a", 999_999) < 2**63
