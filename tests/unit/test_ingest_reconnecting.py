"""How long the receiver stays away, and what it says about the broker's reasons."""

from random import Random

from cloud.ingest.receiving.reconnecting import CAP_S, TAKEN_OVER, Reconnecting, explained


def test_reconnecting_waits_grow_to_half_a_minute_and_no_further() -> None:
    """Failures in a row wait longer and longer, each a random part of its ceiling."""
    reconnecting = Reconnecting(Random(1))

    waits = [reconnecting.wait_s(lasted_s=0, was_taken_over=False) for _ in range(200)]

    assert max(waits[:3]) <= 2.0
    assert max(waits) <= CAP_S
    assert max(waits[10:]) > CAP_S / 2
    assert len(set(waits)) == len(waits)


def test_reconnecting_begins_again_after_a_connection_that_lasted() -> None:
    """One that ended at once changes nothing: doubles would fight at full speed."""
    reconnecting = Reconnecting(Random(1))
    for _ in range(20):
        reconnecting.wait_s(lasted_s=0.1, was_taken_over=False)
    contested = reconnecting.seems_contested

    first = reconnecting.wait_s(lasted_s=60, was_taken_over=False)

    assert first <= 0.5
    assert (contested, reconnecting.seems_contested) == (True, False)


def test_reconnecting_leaves_the_session_to_who_took_it() -> None:
    """However long it had lasted before."""
    reconnecting = Reconnecting(Random(1))

    waits = [reconnecting.wait_s(lasted_s=3_600, was_taken_over=True) for _ in range(50)]

    assert min(waits) >= CAP_S / 2
    assert max(waits) <= CAP_S


def test_reconnecting_explains_what_an_operator_can_do() -> None:
    """A reason that has no advice is told by its name."""
    assert "client_id" in explained(TAKEN_OVER, "Session taken over")
    assert explained(0x8B, "Server shutting down") == "Server shutting down"
