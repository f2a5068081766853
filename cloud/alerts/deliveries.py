"""One notice to one target: the request, its log, and the attempt that the steps make."""

import hashlib
from typing import Any, Literal

import msgspec

from cloud.alerts.errors import Rejected, Transient
from cloud.alerts.notify.port import Notifier
from cloud.alerts.targets import Target
from tidegate.contract import Context
from tidegate.errors import RetryAfter
from wire.events import AlertNotice
from wire.records import DELIVERIES, Delivery

_LOG_KEPT_S = 7 * 24 * 3600.0
# 5 s, 10 s, 20 s, … up to 6 h, each a random part of it: the last attempt comes after 3 days in
# the mean and 6 at most. A target may be away over a long weekend.
ATTEMPTS = 36
RETRY: dict[str, Any] = {
    "attempts": ATTEMPTS,
    "backoff": "exponential",
    "base": 5.0,
    "cap": 6 * 3600.0,
}
# Longer than any target may be waited for (`cloud.settings.DeliveryTimeout`), so that every
# outcome is logged.
TIMEOUT_S = 120.0
_ID_CHARS = 24

Channel = Literal["webhook", "email"]
Outcome = Literal["queued", "delivered", "failed"]


class DeliveryRequested(msgspec.Struct, frozen=True):
    """`delivery.requested.webhook` and `….email`: tell one target about one notice.

    `id` stays the same over all attempts: targets recognise a repetition by it.
    """

    id: str
    channel: Channel
    target_id: str
    shown: str
    notice: AlertNotice


async def request(ctx: Context, notice: AlertNotice, channel: Channel, target: Target) -> None:
    """Ask for one delivery and log it as queued."""
    text = f"{ctx.idempotency_key}\x1f{channel}\x1f{target.id}"
    delivery_id = hashlib.sha256(text.encode()).hexdigest()[:_ID_CHARS]
    asked = DeliveryRequested(delivery_id, channel, target.id, target.shown, notice)
    await _record(ctx, asked, "queued")
    await ctx.emit(f"delivery.requested.{channel}", asked)


async def attempt(ctx: Context, asked: DeliveryRequested, notifier: Notifier) -> None:
    """Try to deliver once and log the outcome.

    A failure that ends the delivery is logged and not raised, so that its record is committed.

    Raises:
        Transient, RetryAfter: it failed, and the runtime should try again.
    """

    async def send() -> None:
        await notifier.send(asked.notice, message_id=asked.id, now=ctx.now())

    try:
        await ctx.run("send", send)
    except Rejected as exc:
        await give_up(ctx, asked, str(exc))
    except Transient as exc:
        if ctx.attempt >= ATTEMPTS:
            await give_up(ctx, asked, str(exc))
        elif exc.retry_after_s is not None:
            raise RetryAfter(exc.retry_after_s, str(exc)) from exc
        else:
            raise
    else:
        await _record(ctx, asked, "delivered")
        ctx.logger.info("alert.delivered", channel=asked.channel, target=asked.shown, id=asked.id)


async def give_up(ctx: Context, asked: DeliveryRequested, reason: str) -> None:
    """Log that a delivery has failed for good."""
    await _record(ctx, asked, "failed", error=reason)
    ctx.logger.error("alert.undelivered", channel=asked.channel, id=asked.id, reason=reason)


async def _record(
    ctx: Context, asked: DeliveryRequested, status: Outcome, *, error: str | None = None
) -> None:
    record = Delivery(
        id=asked.id,
        alert_id=asked.notice.alert_id,
        channel=asked.channel,
        target=asked.shown,
        status=status,
        attempts=0 if status == "queued" else ctx.attempt,
        at_ms=round(ctx.now().timestamp() * 1000),
        error=error,
    )
    await ctx.state.set(DELIVERIES, asked.id, msgspec.to_builtins(record), ttl=_LOG_KEPT_S)
