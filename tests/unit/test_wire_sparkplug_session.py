"""The session of an edge node: births, deaths, gaps, and when a rebirth is asked for."""

import pytest

from wire.codecs.sparkplug import Metric, Payload, decode, sent, value_of
from wire.codecs.sparkplug_types import DataType
from wire.errors import Malformed
from wire.ids import device_id, tenant_id
from wire.sparkplug.births import UnknownMetric
from wire.sparkplug.session import (
    MAX_DEVICES,
    MAX_METRICS_BELOW,
    REBIRTH,
    Patience,
    Saved,
    Session,
    rebirth_request,
)
from wire.sparkplug.topics import Node

_NODE = Node(tenant_id("plant"), device_id("edge"))
_PATIENCE = Patience(reorder_ms=1_000, rebirth_ms=10_000)


def _session() -> Session:
    return Session(Saved(_NODE), _PATIENCE)


def _birth(bd_seq: int | None = 0, *, seq: int = 0, ts_ms: int | None = 1) -> Payload:
    metrics = [Metric("temp", 1, datatype=9, kind="float", raw=1.0)]
    if bd_seq is not None:
        metrics.append(sent("bdSeq", bd_seq, DataType.INT64))
    return Payload(metrics, ts_ms, seq)


def _data(seq: int | None) -> Payload:
    return Payload([Metric(alias=1, kind="float", raw=2.0)], 2, seq)


def _born(*devices: str) -> Session:
    session = _session()
    session.take_node_birth(_birth(), 100, is_redelivery=False)
    for seq, device in enumerate(devices, start=1):
        session.take_number(_data(seq), seq, is_redelivery=False, now_ms=0)
        session.take_device_birth(device, _birth(None))
    return session


def _take(session: Session, *seqs: int, now_ms: int = 0, redelivery: bool = False) -> list[bool]:
    return [
        session.take_number(_data(seq), 1000 + seq, is_redelivery=redelivery, now_ms=now_ms)
        for seq in seqs
    ]


def test_session_in_order_and_around_asks_for_nothing() -> None:
    """255 is followed by 0, for ever."""
    session = _born()

    taken = _take(session, *range(1, 256), *range(256), *range(5), now_ms=5)

    assert all(taken)
    assert not session.is_restless
    assert not session.rebirth_due(1_000_000)


def test_session_gap_that_is_filled_in_time_is_forgotten() -> None:
    """`tck-id-operational-behavior-host-reordering-start` and `-success`."""
    session = _born()

    _take(session, 1, 2, 4, now_ms=0)
    restless = session.is_restless
    _take(session, 3, now_ms=500)

    assert restless
    assert not session.is_restless
    assert not session.rebirth_due(5_000)
    assert _take(session, 5) == [True]


def test_session_gap_is_given_up_after_the_reorder_timeout() -> None:
    """`tck-id-operational-behavior-host-reordering-rebirth`: not before, and once."""
    session = _born()

    _take(session, 1, 4, now_ms=0)

    assert [session.rebirth_due(at) for at in (999, 1_000, 1_001)] == [False, True, False]
    assert session.lost == 2


def test_session_gap_around_the_end_of_the_numbers() -> None:
    """254, 255, 0 may be the missing ones."""
    session = _born()
    _take(session, *range(1, 254))

    _take(session, 1, now_ms=0)
    _take(session, 255, 0, now_ms=10)

    assert session.rebirth_due(1_000)
    assert session.lost == 1


def test_session_same_message_again_is_no_gap() -> None:
    """QoS 1 may deliver twice, early or late, also after others."""
    session = _born()
    _take(session, 1, 2, 3)

    again = _take(session, 3, 1, redelivery=True)

    assert again == [False, False]
    assert not session.is_restless
    assert _take(session, 4) == [True]
    assert not session.is_restless


def test_session_redelivery_of_what_an_earlier_run_took_is_no_gap() -> None:
    """After a restart only the broker's flag tells it; it is taken once more, which is harmless."""
    first = _born()
    _take(first, 1, 2, 3)
    session = Session(first.saved(), _PATIENCE)

    assert _take(session, 2, 3, redelivery=True) == [True, True]
    assert not session.is_restless
    assert _take(session, 4) == [True]
    assert not session.is_restless


def test_session_number_far_behind_with_other_content_is_a_loss_not_a_repetition() -> None:
    """More was lost than can be told: the message is taken, and a rebirth asked for at once."""
    session = _born()
    _take(session, *range(1, 200))

    taken = session.take_number(_data(150), 77, is_redelivery=False, now_ms=0)

    assert taken
    assert session.rebirth_due(0)
    assert session.lost == 1


def test_session_same_bytes_one_round_later_are_new() -> None:
    """A node without timestamps sends the same bytes under the same number every 256 messages."""
    session = _born()

    rounds = [_take(session, *range(1, 256), 0) for _ in range(3)]

    assert all(map(all, rounds))
    assert not session.is_restless


def test_session_requests_are_rate_limited_and_grow_rarer() -> None:
    """A node that does not answer is asked at 0, 10, 30, 70 … s; one that does, 10 s apart."""
    session = _born()
    session.need_birth()

    asked = [at for at in range(0, 75_000, 1_000) if session.rebirth_due(at)]
    session.take_node_birth(_birth(ts_ms=2), 101, is_redelivery=False)
    after_birth = session.is_restless
    session.need_birth()

    assert asked == [0, 10_000, 30_000, 70_000]
    assert not after_birth
    assert not session.rebirth_due(149_000)
    assert session.rebirth_due(150_000)


def test_session_death_ends_node_and_devices() -> None:
    """`…-edge-node-termination-host-action-ndeath-devices-offline`: all below are gone too."""
    session = _born("pump", "fan")
    session.take_device_death("fan")

    gone = session.take_node_death(0)

    assert gone == [None, "pump"]
    assert not session.is_born
    with pytest.raises(UnknownMetric):
        session.birth_of("pump").identified(Metric(alias=1))


def test_session_death_of_another_session_is_ignored() -> None:
    """The will of the broken connection comes after the birth in the new one."""
    session = _session()
    session.take_node_birth(_birth(4), 1, is_redelivery=False)
    session.take_node_birth(_birth(5, ts_ms=2), 2, is_redelivery=False)

    late = session.take_node_death(4)
    alive = session.is_born
    own = session.take_node_death(5)

    assert (late, alive, own) == ([], True, [None])


def test_session_unknown_death_makes_the_node_leave() -> None:
    """When no birth is known nothing speaks against it."""
    assert _session().take_node_death(3) == [None]


def test_session_birth_in_a_new_session_ends_the_devices_of_the_old() -> None:
    """Its death was missed; a rebirth in the same session says nothing of its devices."""
    session = _born("pump")

    same = session.take_node_birth(_birth(ts_ms=2), 2, is_redelivery=False)
    session.take_device_birth("pump", _birth(None))
    other = session.take_node_birth(_birth(1, ts_ms=3), 3, is_redelivery=False)

    assert (same, other) == ([], ["pump"])


def test_session_birth_delivered_twice_changes_nothing() -> None:
    """A reset would forget devices that were born in between."""
    session = _born("pump")

    again = session.take_node_birth(_birth(), 100, is_redelivery=True)

    assert again is None
    assert session.birth_of("pump").identified(Metric(alias=1)) == ("temp", 9)


def test_session_same_birth_without_time_is_a_birth() -> None:
    """Of a node that cannot tell the time the same bytes are no sign of a repetition."""
    session = _session()
    session.take_node_birth(_birth(ts_ms=None), 1, is_redelivery=False)

    assert session.take_node_birth(_birth(ts_ms=None), 1, is_redelivery=False) == []


def test_session_device_before_its_node_needs_a_birth() -> None:
    """The device can be read, its node's metrics cannot."""
    session = _session()

    session.take_device_birth("pump", _birth(None))

    assert session.rebirth_due(0)
    assert session.birth_of("pump").identified(Metric(alias=1))[0] == "temp"


def test_session_bounds_its_devices() -> None:
    """One node more than anybody has is refused with what to do."""
    session = _born()
    for number in range(MAX_DEVICES):
        session.take_device_birth(f"d{number}", _birth(None))

    with pytest.raises(Malformed, match="spread"):
        session.take_device_birth("one more", _birth(None))
    session.take_device_birth("d0", _birth(None))
    session.take_device_death("d0")
    session.take_device_birth("one more", _birth(None))


def test_session_bounds_the_metrics_of_its_devices() -> None:
    """What births name is kept for as long as they hold: it has a bound for all devices."""
    session = _born()
    large = Payload([Metric(f"m{number}", datatype=9) for number in range(10_000)])
    for number in range(MAX_METRICS_BELOW // 10_000):
        session.take_device_birth(f"d{number}", large)

    with pytest.raises(Malformed, match="metrics"):
        session.take_device_birth("one more", _birth(None))
    session.take_device_birth("d0", large)


def test_session_survives_in_parts() -> None:
    """What is kept after each batch is what changed; together it is the session."""
    first = _born("pump")
    one = first.saved()
    _take(first, 2)
    two = first.saved()
    first.take_device_death("pump")
    three = first.saved()

    restored = Session(
        Saved(_NODE, three.bd_seq, three.birth_digest, three.expected, one.births | three.births),
        _PATIENCE,
    )

    assert set(one.births) == {None, "pump"}
    assert two.births == {}
    assert three.births == {"pump": None}
    assert restored.is_born
    assert restored.birth_of("pump").identified(Metric("x", datatype=9)) == ("x", 9)
    assert restored.take_node_death(1) == []
    assert _take(restored, 3) == [True]
    assert not restored.is_restless


def test_rebirth_request_is_what_the_specification_says() -> None:
    """`tck-id-operational-behavior-data-commands-ncmd-rebirth-name` and `-value`."""
    payload = decode(rebirth_request(1_700_000_000_000))

    (metric,) = payload.metrics
    assert (metric.name, metric.datatype) == (REBIRTH, 11)
    assert value_of(metric, 11) is True
    assert (payload.seq, payload.ts_ms) == (None, 1_700_000_000_000)
