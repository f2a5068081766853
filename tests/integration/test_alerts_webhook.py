"""Webhooks over real connections: signatures, retries, refusals, limits."""

import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook as Verifier

from cloud.alerts.deliveries import DeliveryRequested
from cloud.alerts.errors import Rejected, Transient
from cloud.alerts.notify.webhook import WebhookNotifier
from cloud.alerts.steps import deliver_webhook_step
from cloud.alerts.targets import webhook_targets
from cloud.settings import Alerts, Settings, Webhook
from tests.support.fake_context import FakeContext
from tests.support.receivers import Answer, HttpReceiver
from tidegate.configuration import Secret
from tidegate.errors import RetryAfter
from wire.events import AlertNotice
from wire.records import DELIVERIES

pytestmark = pytest.mark.anyio

_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_NOTICE = AlertNotice(
    "a1", "hot", "demo", "pümp-03", "temp_c", "firing", "critical", "too hot", 1_769_860_800_000
)


_NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)


async def _send(
    webhook: Webhook, notice: AlertNotice = _NOTICE, *, now: datetime | None = None
) -> None:
    await WebhookNotifier(webhook).send(notice, message_id="m1", now=now or _now())


def _asked(settings: Settings) -> DeliveryRequested:
    (target,) = webhook_targets(settings)
    return DeliveryRequested("d1", "webhook", target.id, target.shown, _NOTICE)


async def test_webhook_is_signed_so_that_the_receiver_can_verify_it() -> None:
    """The reference implementation accepts what arrives, and refuses it when it was changed."""
    with HttpReceiver() as receiver:
        await _send(Webhook(receiver.url, Secret(_SECRET), allow_private=True))

    (posted,) = receiver.received
    body = Verifier(_SECRET).verify(posted.body, posted.headers)
    assert body["type"] == "alert.fired"
    assert body["timestamp"] == "2026-01-31T12:00:00Z"
    assert body["data"]["device"] == "pümp-03"
    with pytest.raises(Exception, match="No matching signature"):
        Verifier(_SECRET).verify(posted.body + b" ", posted.headers)


async def test_webhook_without_a_secret_is_not_signed_but_identified() -> None:
    """Id and time are there anyway; user and password of the URL are sent as such."""
    with HttpReceiver() as receiver:
        url = receiver.url.replace("http://", "http://me:p%40ss@") + "?key=1"
        await _send(Webhook(url, allow_private=True))

    (posted,) = receiver.received
    assert posted.path == "/hook?key=1"
    assert posted.headers["webhook-id"] == "m1"
    assert "webhook-signature" not in posted.headers
    assert posted.headers["authorization"] == "Basic bWU6cEBzcw=="
    assert json.loads(posted.body)["data"]["alert_id"] == "a1"


async def test_delivery_fails_then_succeeds_under_the_same_id() -> None:
    """A 500 is raised for the runtime to retry; the second attempt is the same message."""
    with HttpReceiver(Answer(500), Answer(200)) as receiver:
        hook = Webhook(receiver.url, Secret(_SECRET), allow_private=True)
        settings = Settings(alerts=Alerts(webhooks=[hook]))
        ctx = FakeContext()
        with pytest.raises(Transient, match="answered 500"):
            await deliver_webhook_step.handler(_asked(settings), ctx, settings=settings)
        ctx.attempt, ctx.clock.at = 2, _now()
        await deliver_webhook_step.handler(_asked(settings), ctx, settings=settings)

    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "d1"
    assert first.body == second.body
    Verifier(_SECRET).verify(second.body, second.headers)
    record = await ctx.state.get(DELIVERIES, "d1")
    assert (record["status"], record["attempts"]) == ("delivered", 2)


async def test_delivery_to_a_receiver_that_is_gone_ends() -> None:
    """410 is final: logged as failed, not raised."""
    with HttpReceiver(Answer(410)) as receiver:
        settings = Settings(alerts=Alerts(webhooks=[Webhook(receiver.url, allow_private=True)]))
        ctx = FakeContext()
        await deliver_webhook_step.handler(_asked(settings), ctx, settings=settings)

    record = await ctx.state.get(DELIVERIES, "d1")
    assert record["status"] == "failed"
    assert "410" in record["error"]


async def test_delivery_waits_as_long_as_the_receiver_asks() -> None:
    """Retry-After of a busy receiver reaches the runtime."""
    with HttpReceiver(Answer(503, {"retry-after": "120"})) as receiver:
        settings = Settings(alerts=Alerts(webhooks=[Webhook(receiver.url, allow_private=True)]))
        with pytest.raises(RetryAfter) as wait:
            await deliver_webhook_step.handler(_asked(settings), FakeContext(), settings=settings)

    assert wait.value.seconds == 120


@pytest.mark.parametrize(
    ("status", "retry_after", "wait_s"),
    [
        (429, "7", 7),
        (429, format_datetime(_NOW + timedelta(seconds=300)), 300),
        (429, format_datetime(_NOW - timedelta(seconds=300)), 0),
        (503, "99999999", 24 * 3600),
    ],
)
async def test_webhook_reads_every_form_of_retry_after(
    status: int, retry_after: str, wait_s: float
) -> None:
    """Seconds or a date; never negative, never longer than a day."""
    with (
        HttpReceiver(Answer(status, {"retry-after": retry_after})) as receiver,
        pytest.raises(Transient) as failure,
    ):
        await _send(Webhook(receiver.url, allow_private=True), now=_NOW)

    assert failure.value.retry_after_s == wait_s


@pytest.mark.parametrize("retry_after", ["soon", "-5", "1.5.2"])
async def test_webhook_ignores_a_retry_after_that_makes_no_sense(retry_after: str) -> None:
    """The policy's own waiting time applies."""
    with (
        HttpReceiver(Answer(503, {"retry-after": retry_after})) as receiver,
        pytest.raises(Transient) as failure,
    ):
        await _send(Webhook(receiver.url, allow_private=True))

    assert failure.value.retry_after_s is None


async def test_webhook_does_not_follow_redirects() -> None:
    """The body goes to no place that was not configured."""
    with (
        HttpReceiver() as elsewhere,
        HttpReceiver(Answer(307, {"location": elsewhere.url})) as receiver,
        pytest.raises(Transient, match="redirects are not followed"),
    ):
        await _send(Webhook(receiver.url, allow_private=True))

    assert len(receiver.received) == 1
    assert elsewhere.received == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_webhook_refuses_private_addresses_however_written(host: str) -> None:
    """Without allow_private nothing connects to this machine."""
    with HttpReceiver() as receiver:
        url = f"https://{host}:{receiver.port}/hook"
        with pytest.raises(Rejected, match="allow_private"):
            await _send(Webhook(url))

    assert receiver.received == []


async def test_webhook_refuses_to_go_unencrypted_into_the_internet() -> None:
    """Plain http is for one's own network."""
    with pytest.raises(Rejected, match="use https"):
        await _send(Webhook("http://hook.example/x"))


async def test_webhook_cannot_be_rebound_to_a_private_address() -> None:
    """A name that is public when it is checked and private when it is asked again is no way in."""
    # The first address counts as public, but its block is retired: nobody answers there.
    answers = [["192.88.99.1"], ["127.0.0.1"]]
    asked: list[str] = []

    async def resolver(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    with HttpReceiver() as receiver:
        hook = Webhook(f"https://rebind.example:{receiver.port}/", timeout_s=0.3)
        notifier = WebhookNotifier(hook, resolver=resolver)
        with pytest.raises(Transient):
            await notifier.send(_NOTICE, message_id="m1", now=_now())
        with pytest.raises(Rejected, match="allow_private"):
            await notifier.send(_NOTICE, message_id="m1", now=_now())

    assert asked == ["rebind.example"] * 2
    assert receiver.received == []


async def test_webhook_gives_up_waiting_and_shows_no_secret() -> None:
    """A receiver that does not answer in time is tried again; its URL's path stays hidden."""
    never = threading.Event()
    with HttpReceiver(Answer(after=never)) as receiver:
        hook = Webhook(receiver.url + "/token", allow_private=True, timeout_s=0.2)
        with pytest.raises(Transient, match=r"did not answer within 0\.2 s") as failure:
            await _send(hook)
        never.set()

    assert "token" not in str(failure.value)


async def test_webhook_that_cannot_be_reached_is_tried_again(free_port: int) -> None:
    """Nobody listens now; somebody may later."""
    with pytest.raises(Transient, match="cannot be reached"):
        await _send(Webhook(f"http://127.0.0.1:{free_port}/", allow_private=True))


async def test_webhook_reads_no_more_of_an_answer_than_it_must() -> None:
    """A receiver that answers with megabytes costs a few kilobytes, and counts as a success."""
    with HttpReceiver(Answer(200, body=b"x" * 50_000_000)) as receiver:
        await _send(Webhook(receiver.url, allow_private=True, timeout_s=5.0))

    assert (len(receiver.received), receiver.hung_up) == (1, 1)
