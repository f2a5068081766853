"""What the ingesters of a group tell each other, and what becomes of it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.batch import Batch
from cloud.ingest.inbox import Inbox
from cloud.ingest.intake.intake import Intake
from cloud.ingest.ledger.accounts import BootRow
from cloud.ingest.ledger.spans import MAX_INTERVALS, Spans
from cloud.ingest.messages import Messages
from cloud.ingest.sharing.circle import Circle
from cloud.ingest.sharing.peers import Peers, claims_of
from cloud.settings import Ingest as Settings
from tests.support.ingestion import Blank
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
_SEQS = st.lists(st.integers(1, 40), max_size=40)


def _row(*spans: tuple[int, int], device: DeviceKey = _PUMP) -> BootRow:
    return BootRow(device, "k", list(spans), 1, 0, 7_000)


def test_peers_tell_what_is_durable_once() -> None:
    """And of one boot only how it stands last."""
    peers = Peers("g", "one")
    peers.note([_row((1, 1))])
    peers.note([_row((1, 1), (3, 3))])

    told = [claim for payload in peers.due() for claim in claims_of(payload)]

    assert [(claim.key(), claim.boot, claim.spans) for claim in told] == [
        (_PUMP, "k", [(1, 1), (3, 3)])
    ]
    assert list(peers.due()) == []


def test_peers_greet_and_repeat() -> None:
    """Who has just connected asks, and tells again what may not have arrived."""
    peers = Peers("g", "one")
    peers.note([_row((1, 1))])
    before = list(peers.due())

    peers.greet()

    assert list(peers.due()) == [b"[]", *before]


def test_peers_payloads_are_bounded() -> None:
    """Many boots are told in several messages."""
    spans = [(2 * n, 2 * n) for n in range(1, MAX_INTERVALS + 1)]
    peers = Peers("g", "one")
    peers.note(
        _row(*spans, device=DeviceKey(tenant_id("acme"), device_id(f"d{n}"))) for n in range(60)
    )

    payloads = list(peers.due())

    assert len(payloads) > 2
    assert max(map(len, payloads)) < 256 * 1024
    assert sum(len(claims_of(payload)) for payload in payloads) == 60


def test_peers_that_cannot_tell_remember_only_so_much() -> None:
    """While the broker is away the boots that waited longest make room, and are counted."""
    peers = Peers("g", "one")
    first, last = (DeviceKey(tenant_id("acme"), device_id(name)) for name in ("first", "last"))
    peers.note([_row((1, 1), device=first)])

    dropped = peers.note(
        _row((1, 1), device=DeviceKey(tenant_id("acme"), device_id(f"d{n}"))) for n in range(99_999)
    )
    dropped_then = peers.note([_row((1, 1), device=last)])

    told = {claim.key() for payload in peers.due() for claim in claims_of(payload)}
    assert (dropped, dropped_then, len(told)) == (0, 1, 100_000)
    assert (first in told, last in told) == (False, True)


def test_circle_calls_the_pipeline_once_until_it_comes() -> None:
    """What others say while the pipeline is held up does not pile up in the inbox."""
    inbox = Inbox(10)
    circle, others = Circle("g", "one", inbox, now_ms=lambda: 0), Peers("g", "two")
    payload = msgspec.json.encode([["acme", "pump", "k", [[1, 2]], 1, 7]])

    def hear() -> None:
        circle.hear(Messages([others.topic.encode()], [payload], [b""], [0]))

    for _ in range(50):
        hear()
    calls, claims = len(inbox._chunks), len(circle.take())
    hear()

    assert (calls, claims, len(inbox._chunks)) == (1, 50, 2)
    inbox.free()


@pytest.mark.parametrize(
    "claim",
    [
        b"junk",
        b"{}",
        b"[[1]]",
        b'[["a/b","pump","k",[[1,2]],1,7]]',
        b'[["acme","pump","",[[1,2]],1,7]]',
        b'[["acme","pump","k",[[0,2]],1,7]]',
        b'[["acme","pump","k",[[3,2]],1,7]]',
    ],
)
def test_peers_do_not_believe_nonsense(claim: bytes) -> None:
    """What no member would say changes nothing."""
    with pytest.raises(Malformed):
        claims_of(claim)


@given(own=_SEQS, theirs=_SEQS)
def test_spans_merge_is_the_union(own: list[int], theirs: list[int]) -> None:
    """Whole intervals added are the same as their sequences added one by one."""
    merged, other, expected = Spans(), Spans(), Spans()
    for seq in own:
        merged.add(seq)
    for seq in theirs:
        other.add(seq)
    for seq in own + theirs:
        expected.add(seq)
    was_new = bool(set(theirs) - set(own))

    assert merged.merge(other.intervals()) == was_new
    assert merged.intervals() == expected.intervals()


def test_spans_merge_is_bounded() -> None:
    """As many intervals as without it."""
    spans = Spans([(1, 1)])

    spans.merge([(4 * n, 4 * n) for n in range(1, 2 * MAX_INTERVALS)])

    assert len(spans.intervals()) == MAX_INTERVALS


def test_intake_learns_what_others_have() -> None:
    """Their part is no gap, is acknowledged with ours, and is not told on as ours."""
    intake, batch = Intake(Blank({"k": Spans([(2, 2)])}), Settings()), Batch()
    claim = msgspec.json.encode([["acme", "pump", "k", [[1, 1], [3, 4]], 1, 7_000]])

    intake.learn(batch, claims_of(claim))
    batch.seal()

    assert [(row.device, row.spans) for row in batch.entry.boots] == [(_PUMP, [(1, 4)])]
    assert batch.reached == [(_PUMP, "k", 4)]
    assert batch.own_rows == []
    assert batch.entry.tallies[_PUMP].readings() == 0
    again = Batch()
    intake.learn(again, claims_of(claim))
    assert again.is_empty
