"""Waiting for a peer: growing, bounded, random waits, and one line in the log at each end."""

import random
from itertools import islice

import pytest
from structlog.testing import capture_logs

from cloud.ingest.patience import delays_s, until_done

pytestmark = pytest.mark.anyio


def test_patience_waits_grow_to_the_cap() -> None:
    """The n-th wait is below base times 2^n and below the cap."""
    waits = list(islice(delays_s(random.Random(1), base_s=1, cap_s=10), 8))

    limits = [1, 2, 4, 8, 10, 10, 10, 10]
    assert all(0 <= wait <= limit for wait, limit in zip(waits, limits, strict=True))
    assert len(set(waits)) == len(waits)


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
        result = await until_done(
            call,
            of=(OSError,),
            what="store",
            waits_s=iter([0.0] * 3),
            on_retry=lambda: retries.append(None),
        )

    assert result == "stored"
    assert len(retries) == 3
    assert [line["event"] for line in lines] == ["peer.lost", "peer.returned"]


async def test_patience_leaves_other_errors_alone() -> None:
    """What is not the peer's absence is raised at once."""

    async def call() -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await until_done(call, of=(OSError,), what="store", waits_s=iter([]), on_retry=lambda: None)
