"""Sparkplug messages at the intake: readings, sessions, presence, and who is asked for births."""

from collections.abc import Callable

import pytest

from cloud.ingest.batch import Batch
from cloud.ingest.inbox import Chunk, Replay
from cloud.ingest.intake.intake import Backlog, Intake
from cloud.ingest.intake.sparkplug import Host
from cloud.ingest.ledger.accounts import Tally
from cloud.ingest.ledger.file import LedgerAway
from cloud.ingest.messages import DUPLICATE, RETAINED, Messages
from cloud.settings import Ingest as Settings
from cloud.settings import Sparkplug
from tests.support.ingestion import Blank
from wire.codecs.sparkplug import Metric, Payload, decode, encode, sent
from wire.codecs.sparkplug_types import DataType
from wire.ids import DeviceKey, device_id, tenant_id
from wire.sparkplug.session import Saved
from wire.sparkplug.topics import Node

_NOW_MS = 1_700_000_000_000
_EDGE = DeviceKey(tenant_id("plant"), device_id("edge"))
_PUMP = DeviceKey(tenant_id("plant"), device_id("edge:pump"))
_SPARKPLUG = Sparkplug(enabled=True, reorder_timeout_s=1, rebirth_interval_s=10)


class _Hall:
    """A host and its intake, at a time that the test sets."""

    def __init__(self, session_of: Callable[[Node], Saved] = Saved, *, max_nodes: int = 10) -> None:
        self.at_ms = 0
        self.host = Host(_SPARKPLUG, session_of, steady_ms=lambda: self.at_ms, max_nodes=max_nodes)
        self.intake = Intake(Blank(), Settings(), host=self.host)

    def take(self, *messages: tuple[str, Payload | bytes], flags: int = 0x32) -> Batch:
        """Take messages (`NDATA/edge`, payload) as one batch."""
        batch, backlog = Batch(), Backlog()
        backlog.chunks.append(_chunk(*messages, flags=flags))
        self.intake.fill(batch, backlog)
        batch.seal()
        return batch

    def asked(self) -> list[str]:
        """Return the topics of the commands that are due."""
        return [topic for topic, _ in self.host.requests(_NOW_MS).messages]


def _chunk(*messages: tuple[str, Payload | bytes], flags: int = 0x32) -> Chunk:
    topics = [_topic(rest).encode() for rest, _ in messages]
    payloads = [one if isinstance(one, bytes) else encode(one) for _, one in messages]
    count = len(messages)
    return Chunk(Messages(topics, payloads, [b"\0\1"] * count, [flags] * count), _NOW_MS, 1)


def _topic(rest: str) -> str:
    return f"spBv1.0/plant/{rest}" if "STATE" not in rest else f"spBv1.0/{rest}"


def _nbirth(bd_seq: int = 0, *, ts_ms: int = _NOW_MS) -> tuple[str, Payload]:
    metrics = [
        sent("bdSeq", bd_seq, DataType.INT64),
        sent("Node Control/Rebirth", value=False, datatype=DataType.BOOLEAN),
        sent("temp", 20.0, DataType.FLOAT, alias=1),
        sent("level", -3, DataType.INT16, alias=2),
    ]
    return "NBIRTH/edge", Payload(metrics, ts_ms, 0)


def _dbirth(seq: int) -> tuple[str, Payload]:
    metrics = [
        sent("rpm", 900, DataType.UINT32, alias=3),
        Metric("mode", 4, datatype=12, is_null=True),
    ]
    return "DBIRTH/edge/pump", Payload(metrics, _NOW_MS, seq)


def _ndata(seq: int, *metrics: Metric) -> tuple[str, Payload]:
    sent_ones = metrics or (Metric(alias=1, kind="float", raw=float(seq)),)
    return "NDATA/edge", Payload(list(sent_ones), _NOW_MS + seq, seq)


def _ddata(seq: int) -> tuple[str, Payload]:
    return "DDATA/edge/pump", Payload([Metric(alias=3, kind="int", raw=1)], _NOW_MS + seq, seq)


def _ndeath(bd_seq: int = 0) -> tuple[str, Payload]:
    return "NDEATH/edge", Payload([sent("bdSeq", bd_seq, DataType.INT64)])


def _fates(batch: Batch, device: DeviceKey = _EDGE) -> tuple[int, int, int, int]:
    tally = batch.entry.tallies.get(device, Tally())
    return tally.stored, tally.duplicate, tally.dead, tally.filtered


def _said(batch: Batch) -> list[tuple[str, str]]:
    return [(one.device.device, one.status.state) for one in batch.statuses]


def test_host_stores_births_and_data_under_their_names() -> None:
    """`tck-id-payloads-alias-data-requirement`: data by alias has the name of the birth."""
    batch = _Hall().take(_nbirth(), _dbirth(1), _ndata(2), _ddata(3))

    points = batch.points
    assert [
        (key.device, key.metric, value)
        for key, value in zip(points.series, points.values, strict=True)
    ] == [
        ("edge", "Node Control/Rebirth", False),
        ("edge", "temp", 20.0),
        ("edge", "level", -3.0),
        ("edge:pump", "rpm", 900.0),
        ("edge", "temp", 2.0),
        ("edge:pump", "rpm", 1.0),
    ]
    assert points.ts_ms[-1] == _NOW_MS + 3
    assert (_fates(batch), _fates(batch, _PUMP)) == ((4, 0, 0, 0), (2, 0, 0, 1))
    assert _said(batch) == [("edge", "online"), ("edge:pump", "online")]
    assert batch.first_seen == [_EDGE, _PUMP]
    assert batch.entry.letters == []


def test_host_death_of_the_node_takes_its_devices_along() -> None:
    """`tck-id-operational-behavior-edge-node-termination-host-action-ndeath-node-offline`."""
    hall = _Hall()
    hall.take(_nbirth(3), _dbirth(1))

    late = hall.take(_ndeath(2))
    real = hall.take(_ndeath(3))

    assert _said(late) == []
    assert _said(real) == [("edge", "offline"), ("edge:pump", "offline")]
    assert real.entry.tallies == {}
    assert real.ends == [0]


def test_host_death_of_a_device_is_its_own() -> None:
    """`tck-id-operational-behavior-edge-node-termination-host-action-ddeath-devices-offline`."""
    hall = _Hall()
    hall.take(_nbirth(), _dbirth(1))

    batch = hall.take(("DDEATH/edge/pump", Payload([], _NOW_MS, 2)), _ndata(3), _ddata(4))

    assert _said(batch) == [("edge:pump", "offline")]
    assert _fates(batch) == (1, 0, 0, 0)
    assert _fates(batch, _PUMP) == (0, 0, 1, 0)


def test_host_gap_leads_to_a_request_after_the_timeout() -> None:
    """`tck-id-operational-behavior-host-reordering-rebirth`; what came is stored at once."""
    hall = _Hall()

    batch = hall.take(_nbirth(), _ndata(1), _ndata(3))
    hall.at_ms = 999
    before = hall.asked()
    hall.at_ms = 1_000
    requests = hall.host.requests(_NOW_MS)

    assert _fates(batch) == (5, 0, 0, 0)
    assert before == []
    ((topic, payload),) = requests.messages
    assert (topic, requests.lost) == ("spBv1.0/plant/NCMD/edge", 1)
    assert decode(payload).metrics[0].name == "Node Control/Rebirth"


def test_host_redelivery_is_a_duplicate_and_no_gap() -> None:
    """QoS 1 brings births, data and deaths twice: nothing is stored again or asked for."""
    hall = _Hall()
    messages = [_nbirth(), _dbirth(1), _ndata(2), _ddata(3)]
    hall.take(*messages)

    again = hall.take(*messages, flags=0x32 | DUPLICATE)
    hall.at_ms = 10_000

    assert (_fates(again), _fates(again, _PUMP)) == ((0, 4, 0, 0), (0, 3, 0, 0))
    assert len(again.points) == 0
    assert hall.asked() == []


def test_host_data_before_any_birth_is_dead_until_one_comes() -> None:
    """The node is asked at once; replayed, the letter is read with the birth of today."""
    hall = _Hall()

    early = hall.take(_ndata(7), _ddata(8))
    asked = hall.asked()
    hall.take(_nbirth(), _dbirth(1))
    chunk = _chunk(_ndata(7))
    chunk.replay = Replay(5, readings=1, now_ms=_NOW_MS, only=frozenset({0}))
    replayed, backlog = Batch(), Backlog()
    backlog.chunks.append(chunk)
    hall.intake.fill(replayed, backlog)
    after = hall.take(_ndata(2))

    assert (_fates(early), _fates(early, _PUMP)) == ((0, 0, 1, 0), (0, 0, 1, 0))
    assert "alias 1" in early.entry.letters[0].reason
    assert early.entry.letters[0].only == [0]
    assert asked == ["spBv1.0/plant/NCMD/edge"]
    assert _fates(replayed) == (1, 0, -1, 0)
    assert replayed.points.series[0].metric == "temp"
    assert replayed.sessions == {}
    assert _fates(after) == (1, 0, 0, 0)
    hall.at_ms = 60_000
    assert hall.asked() == []


def test_host_replayed_birth_does_not_begin_a_session() -> None:
    """Its readings are taken; the node's session has gone on since."""
    hall = _Hall()
    hall.take(_nbirth(1), _dbirth(1))
    chunk = _chunk(_nbirth(0))
    chunk.replay = Replay(5, readings=1, now_ms=_NOW_MS, only=frozenset({1}))
    batch, backlog = Batch(), Backlog()
    backlog.chunks.append(chunk)

    hall.intake.fill(batch, backlog)

    assert _fates(batch) == (1, 0, -1, 0)
    assert batch.statuses == []
    assert _said(hall.take(_ndeath(1)))[0] == ("edge", "offline")


def test_host_unknown_alias_costs_its_metric_only() -> None:
    """The rest of the message is stored, and the births are asked for."""
    hall = _Hall()
    known, unknown = Metric(alias=2, kind="int", raw=5), Metric(alias=99, kind="int", raw=6)

    batch = hall.take(_nbirth(), _ndata(1, known, unknown))

    assert _fates(batch) == (4, 0, 1, 0)
    assert batch.entry.letters[0].only == [1]
    assert hall.asked() == ["spBv1.0/plant/NCMD/edge"]


def test_host_refuses_what_is_no_single_value_with_a_reason() -> None:
    """A data set in a birth is one dead reading; the birth is one all the same."""
    topic, payload = _nbirth()
    data_set = b"\x12\x0a\x0a\x03set\x20\x10\x8a\x01\x00"

    batch = _Hall().take((topic, encode(payload) + data_set), _ndata(1))

    assert _fates(batch) == (4, 0, 1, 0)
    assert "a data set" in batch.entry.letters[0].reason
    assert batch.entry.letters[0].only == [3]


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("NDATA/a:b", "colon"),
        (f"DDATA/edge/{'x' * 60}", "longer"),
        ("DDATA/edge", "levels"),
    ],
)
def test_host_buries_names_that_cannot_be_ours(rest: str, reason: str) -> None:
    """A dead letter of nobody that says why."""
    batch = _Hall().take((rest, b""))

    assert batch.foreign == 1
    assert reason in batch.entry.letters[0].reason


@pytest.mark.parametrize("kind", ["NBIRTH", "NDATA", "NDEATH"])
def test_host_buries_what_is_no_payload(kind: str) -> None:
    """And goes on with the next message."""
    batch = _Hall().take((f"{kind}/edge", b"\xff"), _nbirth())

    assert batch.entry.letters[0].device == _EDGE
    assert "not valid Sparkplug" in batch.entry.letters[0].reason
    assert batch.entry.letters[0].readings == (0 if kind == "NDEATH" else 1)
    assert _fates(batch)[0] == 3


def test_host_refuses_one_node_too_many() -> None:
    """Whoever makes up nodes fills the letters, which are bounded; the known ones go on."""
    hall = _Hall(max_nodes=1)

    batch = hall.take(_nbirth(), ("NBIRTH/other", _nbirth()[1]), _ndata(1))

    assert batch.foreign == 1
    assert "more than 1 nodes" in batch.entry.letters[0].reason
    assert _fates(batch) == (4, 0, 0, 0)


def test_host_takes_retained_messages_for_ghosts() -> None:
    """`tck-id-…-nbirth-retained`: births are never retained; one that is says nothing of now."""
    hall = _Hall()

    batch = hall.take(_nbirth(), _ndeath(), flags=0x32 | RETAINED)

    assert _fates(batch) == (0, 0, 0, 3)
    assert batch.statuses == []
    assert batch.sessions == {}


def test_host_own_state_is_no_message_of_a_node() -> None:
    """It comes back to us, as to everybody; it is no dead letter."""
    batch = _Hall().take(("STATE/tidegate", b'{"online":true,"timestamp":1}'), _nbirth())

    assert batch.entry.letters == []
    assert batch.foreign == 0
    assert batch.ends == [0, 3]


def test_host_remembers_births_of_an_earlier_run() -> None:
    """What a batch keeps is enough to read data after a restart."""
    first = _Hall().take(_nbirth(), _dbirth(1))
    (saved,) = first.entry.sessions
    hall = _Hall(lambda _node: saved)

    batch = hall.take(_ndata(2), _ddata(3))
    hall.at_ms = 60_000

    assert batch.entry.letters == []
    assert batch.points.values == [2.0, 1.0]
    assert hall.asked() == []


def test_host_ledger_away_changes_nothing() -> None:
    """The session cannot be read now: filling stops, and is repeated with the same message."""
    answers = iter([LedgerAway("away")])

    def session_of(node: Node) -> Saved:
        for failure in answers:
            raise failure
        return Saved(node)

    hall = _Hall(session_of)
    batch, backlog = Batch(), Backlog()
    backlog.chunks.append(_chunk(_nbirth()))

    with pytest.raises(LedgerAway):
        hall.intake.fill(batch, backlog)
    hall.intake.fill(batch, backlog)

    assert _fates(batch) == (3, 0, 0, 0)


def test_host_topics_are_foreign_without_it() -> None:
    """Switched off, nothing of Sparkplug is known."""
    batch, backlog = Batch(), Backlog()
    backlog.chunks.append(_chunk(_nbirth()))

    Intake(Blank(), Settings()).fill(batch, backlog)

    assert batch.foreign == 1
