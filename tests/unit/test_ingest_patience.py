"""Waiting for a peer: it is asked until it answers, with one line in the log at each end."""

from random import Random

import anyio
import pytest
from structlog.testing import capture_logs

from cloud.ingest.patience import Patience

pytestmark = pytest.mark.anyio


def _patience(retries: list[None]) -> Patience:
    return Patience(Random(1), lambda: retries.append(None), base_s=0.001)


async def test_patience_repeats_until_it_works_and_logs_twice() -> None:
    """Three failures are three repetitions, one line when it began and one when it ended."""
    answers: list[Exception | str] = [OSError("1"), OSError("2"), OSError("3"), "stored"]
    retries: list[None] = []

    async def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with capture_logs() as lines:
        result = await _patience(retries).until_done(call, of=OSError, what="store")

    assert result == "stored"
    assert len(retries) == 3
    assert [line["event"] for line in lines] == ["peer.lost", "peer.returned"]


async def test_patience_says_that_it_waits() -> None:
    """From a first failure until it works; and never before one."""
    patience = _patience([])
    seen: list[bool] = []

    async def call() -> None:
        seen.append(patience.is_waiting)
        if len(seen) < 3:
            raise OSError

    await patience.until_done(call, of=OSError, what="store")

    assert seen == [False, True, True]
    assert not patience.is_waiting


async def test_patience_given_up_waits_no_longer() -> None:
    """Cancelled in the middle, or ended by a bug, it does not wait for ever after."""
    patience = _patience([])
    answers: list[Exception] = [OSError(), KeyError("bug")]

    async def call() -> None:
        raise answers.pop(0)

    with pytest.raises(KeyError):
        await patience.until_done(call, of=OSError, what="store")

    assert not patience.is_waiting


async def test_patience_leaves_other_errors_alone() -> None:
    """What is not the peer's absence is raised at once."""

    async def call() -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await _patience([]).until_done(call, of=OSError, what="store")


class _Busy(Exception):
    retry_after_s = 0.0


async def test_patience_leaves_a_peer_alone_as_long_as_it_asks() -> None:
    """`retry_after_s` of the last failure is the least time until the next attempt."""
    patience = _patience([])
    asked = [0.06, 0.03]
    calls_s: list[float] = []

    async def call() -> None:
        calls_s.append(anyio.current_time())
        if asked:
            busy = _Busy()
            busy.retry_after_s = asked.pop(0)
            raise busy

    await patience.until_done(call, of=_Busy, what="store")

    first_s, second_s, third_s = calls_s
    assert second_s - first_s >= 0.06
    assert third_s - second_s >= 0.03


async def _fails() -> None:
    raise OSError("away")


async def test_patience_for_a_while_raises_the_last_failure() -> None:
    """Tried for so long and no longer; peers are told apart, and lost is said once."""
    patience = _patience([])

    with capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(OSError, match="away"):
                await patience.until_done(_fails, of=OSError, what="store", within_s=0.01)

    assert [line["event"] for line in lines] == ["peer.lost"]
    assert not patience.waits_for("store")


async def test_patience_hurried_gives_up_what_is_tried_for_a_while() -> None:
    """At once, also what begins later; what must be done is still waited for."""
    patience = _patience([])
    waits: list[tuple[bool, bool]] = []
    answers: list[Exception | None] = [OSError("1"), OSError("2"), None]

    async def must() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    async def give_up() -> None:
        with pytest.raises(OSError, match="away"):
            await patience.until_done(_fails, of=OSError, what="store", within_s=3_600)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(give_up)
        await anyio.wait_all_tasks_blocked()
        waits.append((patience.waits_for("store"), patience.waits_for("ledger")))
        patience.hurry()
    await give_up()
    await patience.until_done(must, of=OSError, what="ledger")

    assert waits == [(True, False)]
    assert answers == []
