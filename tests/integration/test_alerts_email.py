"""Mails to a real SMTP server, and mails that are kept."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cloud.alerts.deliveries import DeliveryRequested
from cloud.alerts.errors import Rejected, Transient
from cloud.alerts.notify.email import EmailNotifier
from cloud.alerts.notify.message import Letterhead
from cloud.alerts.notify.outbox import OutboxNotifier
from cloud.alerts.steps import deliver_email_step
from cloud.alerts.targets import email_targets
from cloud.settings import Alerts, Settings, Site, Smtp
from tests.support.fake_context import FakeContext
from tests.support.receivers import MailReceiver
from wire.events import AlertNotice

pytestmark = pytest.mark.anyio

_NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
_HEAD = Letterhead("tidegate@plant.example", "Plant 7", ZoneInfo("Europe/Berlin"))
_NOTICE = AlertNotice(
    "a1", "hot", "demo", "pump-03", "temp_c", "firing", "critical", "too hot", 1_769_860_800_000
)


def _smtp(port: int) -> Smtp:
    return Smtp(host="127.0.0.1", port=port, starttls="off", timeout_s=5.0)


async def _send(port: int, notice: AlertNotice = _NOTICE, smtp: Smtp | None = None) -> None:
    notifier = EmailNotifier(smtp or _smtp(port), _HEAD, recipient="ops@example.com")
    await notifier.send(notice, message_id="m1", now=_NOW)


async def test_step_mails_the_notice_with_the_sites_settings() -> None:
    """The mail arrives whole: both parts, right headers, the time in the site's zone."""
    with MailReceiver() as receiver:
        settings = Settings(
            site=Site("Plant 7", "Europe/Berlin"),
            alerts=Alerts(email_to=["ops@example.com"]),
            smtp=_smtp(receiver.port),
        )
        (target,) = email_targets(settings)
        asked = DeliveryRequested("d1", "email", target.id, target.shown, _NOTICE)
        await deliver_email_step.handler(
            asked, FakeContext(), settings=settings, data_dir=Path("unused")
        )

    (mail,) = receiver.mails
    assert receiver.recipients == [["ops@example.com"]]
    assert mail["Subject"] == "[FIRING] hot: demo/pump-03 temp_c"
    assert mail["Message-ID"] == "<d1@localhost>"
    assert mail["Auto-Submitted"] == "auto-generated"
    kinds = [part.get_content_type() for part in mail.iter_parts()]
    assert kinds == ["text/plain", "text/html"]
    text = mail.get_body(("plain",))
    assert text is not None
    assert "2026-01-31 13:00:00 +01:00 (Europe/Berlin)" in text.get_content()


async def test_hostile_names_arrive_harmless() -> None:
    """Line breaks and markup in a name add no header, no recipient and no element."""
    hostile = AlertNotice(
        "a1", "hot", "demo", "x\r\nBcc: v@example.com\r\n\r\n.\r\n<script>", "täst", "firing",
        "critical", "<img src=x>", 0,
    )  # fmt: skip
    with MailReceiver() as receiver:
        await _send(receiver.port, hostile)

    (mail,) = receiver.mails
    assert mail["Bcc"] is None
    assert receiver.recipients == [["ops@example.com"]]
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
    assert "<img" not in html.get_content()


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ({"RCPT": "550 no such user"}, Rejected),
        ({"RCPT": "451 greylisted"}, Transient),
        ({"DATA": "554 looks like spam"}, Rejected),
        ({"DATA": "452 disk full"}, Transient),
    ],
)
async def test_refusals_are_final_or_not_by_their_code(
    refusal: dict[str, str], error: type[Exception]
) -> None:
    """5xx is for somebody to correct, 4xx for another attempt; the server's words are kept."""
    (answer,) = refusal.values()
    with MailReceiver(**refusal) as receiver, pytest.raises(error, match=answer[4:]):
        await _send(receiver.port)

    assert receiver.mails == []


async def test_required_encryption_refuses_a_server_without_it() -> None:
    """Nothing is sent in the clear because a server (or somebody in between) has no STARTTLS."""
    with MailReceiver() as receiver:
        smtp = Smtp(host="127.0.0.1", port=receiver.port, starttls="required", timeout_s=5.0)
        with pytest.raises(Transient, match="STARTTLS"):
            await _send(receiver.port, smtp=smtp)

    assert receiver.mails == []


async def test_opportunistic_encryption_goes_on_without_it() -> None:
    """A server that cannot encrypt is accepted where the operator said so."""
    with MailReceiver() as receiver:
        smtp = Smtp(host="127.0.0.1", port=receiver.port, starttls="opportunistic", timeout_s=5.0)
        await _send(receiver.port, smtp=smtp)

    assert len(receiver.mails) == 1


async def test_a_server_that_is_away_is_tried_again(free_port: int) -> None:
    """Nobody listens now; somebody may later."""
    with pytest.raises(Transient, match="did not take the mail"):
        await _send(free_port)


def _outbox(folder: Path, *, max_kept: int = 10) -> OutboxNotifier:
    return OutboxNotifier(folder, _HEAD, recipient="ops@example.com", max_kept=max_kept)


def _kept(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_outbox_keeps_mails_that_the_pages_can_show(tmp_path: Path) -> None:
    """What is kept is the mail that would have been sent."""
    await _outbox(tmp_path / "outbox").send(_NOTICE, message_id="m1", now=_NOW)

    (file,) = _kept(tmp_path / "outbox")
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert file.name == "20260131T120000.000000Z-m1.eml"
    assert mail["Subject"] == "[FIRING] hot: demo/pump-03 temp_c"
    assert mail["To"] == "ops@example.com"
    assert "too hot" in str(mail)


async def test_outbox_keeps_a_repetition_once(tmp_path: Path) -> None:
    """The same message sent again later is the same file."""
    for minutes in range(2):
        now = _NOW + timedelta(minutes=minutes)
        await _outbox(tmp_path).send(_NOTICE, message_id="m1", now=now)

    assert len(_kept(tmp_path)) == 1


async def test_outbox_is_bounded(tmp_path: Path) -> None:
    """Beyond its bound the oldest mails make room."""
    for at in range(5):
        now = _NOW + timedelta(seconds=at)
        await _outbox(tmp_path, max_kept=3).send(_NOTICE, message_id=f"m{at}", now=now)

    assert [path.stem[-2:] for path in _kept(tmp_path)] == ["m2", "m3", "m4"]


async def test_outbox_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    """A folder that is in the way of nothing but itself can be repaired."""
    (tmp_path / "outbox").write_text("a file where the folder should be")

    with pytest.raises(Transient, match="does not take the mail"):
        await _outbox(tmp_path / "outbox").send(_NOTICE, message_id="m1", now=_NOW)
