"""One attempt to deliver: what is logged, what is raised, what is never repeated."""

from datetime import datetime
from random import Random
from typing import Any

import msgspec
import pytest

from cloud.alerts import deliveries
from cloud.alerts.deliveries import DeliveryRequested
from cloud.alerts.errors import DeliveryError, Rejected, Transient
from cloud.settings import Smtp, Webhook
from tests.support.fake_context import FakeContext
from tidegate.contract import Retry
from tidegate.engine.retry import delay_s
from tidegate.errors import RetryAfter
from wire.events import AlertNotice

pytestmark = pytest.mark.anyio

_NOTICE = AlertNotice("a1", "hot", "demo", "pump", "t", "firing", "critical", "s", 1_000)
_ASKED = DeliveryRequested("d1", "webhook", "target", "https://a.example/…", _NOTICE)


class _Target:
    """Takes notices, or fails as it was told to."""

    def __init__(self, error: DeliveryError | None = None) -> None:
        self.message_ids: list[str] = []
        self.error = error

    async def send(self, notice: AlertNotice, *, message_id: str, now: datetime) -> None:
        self.message_ids.append(message_id)
        if self.error is not None:
            raise self.error


async def _record(ctx: FakeContext) -> Any:
    return await ctx.state.get("deliveries", "d1")


async def test_attempt_logs_a_delivery() -> None:
    """The log says what was delivered where, when, after how many attempts."""
    ctx = FakeContext()
    ctx.attempt = 3

    await deliveries.attempt(ctx, _ASKED, _Target())

    assert await _record(ctx) == {
        "id": "d1",
        "alert_id": "a1",
        "channel": "webhook",
        "target": "https://a.example/…",
        "status": "delivered",
        "attempts": 3,
        "at_ms": ctx.clock.now_ms(),
        "error": None,
    }


async def test_attempt_does_not_send_again_when_the_invocation_runs_again() -> None:
    """A handler that runs again after a conflict finds its sending done."""
    ctx, target = FakeContext(), _Target()

    await deliveries.attempt(ctx, _ASKED, target)
    await deliveries.attempt(ctx, _ASKED, target)

    assert target.message_ids == ["d1"]


async def test_attempt_raises_so_that_the_runtime_tries_again() -> None:
    """A target that is away is tried again under the same message id."""
    ctx, target = FakeContext(), _Target(Transient("away"))

    with pytest.raises(Transient):
        await deliveries.attempt(ctx, _ASKED, target)
    target.error = None
    await deliveries.attempt(ctx, _ASKED, target)

    assert target.message_ids == ["d1", "d1"]


async def test_attempt_waits_as_long_as_the_target_asks() -> None:
    """A Retry-After reaches the runtime."""
    with pytest.raises(RetryAfter) as wait:
        await deliveries.attempt(FakeContext(), _ASKED, _Target(Transient("busy", 90.0)))

    assert wait.value.seconds == 90.0


async def test_attempt_gives_up_when_the_target_says_so() -> None:
    """A rejection is logged with its reason and is not tried again."""
    ctx = FakeContext()

    await deliveries.attempt(ctx, _ASKED, _Target(Rejected("gone for good")))

    record = await _record(ctx)
    assert (record["status"], record["error"]) == ("failed", "gone for good")


def test_retries_go_on_for_days() -> None:
    """A target may be away over a long weekend: three days in the mean, never a week."""
    policy = Retry(**deliveries.RETRY)
    steady = msgspec.structs.replace(policy, jitter=False)
    attempts = range(1, deliveries.ATTEMPTS)
    longest_s = sum(delay_s(steady, attempt, Random(7)) or 0.0 for attempt in attempts)

    assert 5.9 < longest_s / 86_400 < 6.1
    assert delay_s(policy, deliveries.ATTEMPTS, Random(7)) is None


@pytest.mark.parametrize("part", [Webhook, Smtp])
def test_a_target_is_never_waited_for_longer_than_its_step_may_run(part: type) -> None:
    """The notifier gives up first, so that the outcome is logged."""
    settings = {"url": "https://a.example"} if part is Webhook else {}

    msgspec.convert({**settings, "timeout_s": 100.0}, part)
    with pytest.raises(msgspec.ValidationError, match=r"<= 100"):
        msgspec.convert({**settings, "timeout_s": 101.0}, part)

    assert deliveries.TIMEOUT_S > 110.0


async def test_attempt_gives_up_at_the_last_attempt() -> None:
    """What has failed for days is logged as failed."""
    ctx = FakeContext()
    ctx.attempt = deliveries.ATTEMPTS

    await deliveries.attempt(ctx, _ASKED, _Target(Transient("still away")))

    assert (await _record(ctx))["status"] == "failed"
