"""A notice as a mail."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.alerts.errors import Rejected
from cloud.alerts.notify.message import Letterhead, compose, mail_address
from wire.events import AlertNotice

_NOW = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
_HEAD = Letterhead("alerts@plant.example", "Plant 7", ZoneInfo("Europe/Berlin"))
_NOTICE = AlertNotice(
    alert_id="a1b2",
    rule="anomaly",
    tenant="demo",
    device="pump-03",
    metric="vibration_mm_per_s",
    status="firing",
    severity="critical",
    summary="vibration_mm_per_s was 9.5 mm/s where 2 mm/s was expected",
    started_at_ms=1_769_860_800_000,
    value=9.5,
)


def _mail(notice: AlertNotice = _NOTICE, head: Letterhead = _HEAD) -> EmailMessage:
    """Compose, send through bytes and read again, as a mail program does."""
    mail = compose(notice, head, recipient="ops@example.com", message_id="m1", now=_NOW)
    read = message_from_bytes(mail.as_bytes(), policy=policy.default)
    assert isinstance(read, EmailMessage)
    return read


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body(preferencelist=(kind,))
    assert part is not None
    return str(part.get_content())


def test_compose_says_what_happened_in_text_and_html() -> None:
    """Both parts carry summary, value and the time in the site's zone with its offset."""
    mail = _mail()

    assert mail["Subject"] == "[FIRING] anomaly: demo/pump-03 vibration_mm_per_s"
    assert mail.get_content_type() == "multipart/alternative"
    for text in (_part(mail, "plain"), _part(mail, "html")):
        assert _NOTICE.summary in text
        assert "9.5 mm/s" in text
        assert "2026-01-31 13:00:00 +01:00 (Europe/Berlin)" in text


def test_compose_sets_the_headers_of_an_automatic_mail() -> None:
    """Repetitions are recognisable, machines do not answer, one alert is one thread."""
    mail = _mail()

    assert mail["Message-ID"] == "<m1@plant.example>"
    assert mail["From"] == "Plant 7 <alerts@plant.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == _NOW
    assert mail["References"] == "<alert-a1b2-1769860800000@plant.example>"


def test_compose_tells_the_end_and_how_long_it_lasted() -> None:
    """A resolved alert carries start, end and length."""
    resolved = msgspec.structs.replace(
        _NOTICE, status="resolved", ended_at_ms=_NOTICE.started_at_ms + 9_000_000
    )

    mail = _mail(resolved)

    assert mail["Subject"].startswith("[RESOLVED]")
    assert "Ended     2026-01-31 15:30:00 +01:00" in _part(mail, "plain")
    assert "Lasted    2 h 30 min" in _part(mail, "plain")


def test_compose_makes_hostile_names_harmless() -> None:
    """A name with line breaks and markup adds neither a header nor an element."""
    hostile = msgspec.structs.replace(
        _NOTICE, device="x\r\nBcc: v@example.com\r\n\r\n<script>alert(1)</script>", summary="<b>\n"
    )

    mail = _mail(hostile)

    assert mail["Bcc"] is None
    assert "<script>" not in _part(mail, "html")
    assert "&lt;script&gt;" in _part(mail, "html")
    assert "<b>" not in _part(mail, "html")


@given(st.text(max_size=150), st.text(max_size=150))
def test_compose_takes_any_text_as_a_name(device: str, metric: str) -> None:
    """Whatever things are called: a mail with our headers and two parts, and no more."""
    try:
        (device + metric).encode()
    except UnicodeEncodeError:
        return

    mail = _mail(msgspec.structs.replace(_NOTICE, device=device, metric=metric))

    assert set(mail.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted",
        "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
    }  # fmt: skip
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_compose_links_to_the_pages_when_their_address_is_known() -> None:
    """Without a public address there is no link that could lead nowhere."""
    linked = _mail(head=msgspec.structs.replace(_HEAD, pages_url="https://tg.example"))

    assert 'href="https://tg.example"' in _part(linked, "html")
    assert "href" not in _part(_mail(), "html")


def test_mail_address_reads_a_display_name() -> None:
    """A sender may be given with a name."""
    address = mail_address("Night shift <night@plant.example>")

    assert (address.display_name, address.addr_spec) == ("Night shift", "night@plant.example")


@pytest.mark.parametrize(
    "text", ["", "ops", "ops@", "@host", "a@b, c@d", "a@b\r\nBcc: c@d", "a b@c", "ü@x.de", "<>"]
)
def test_mail_address_refuses_what_is_none(text: str) -> None:
    """A refusal quotes the text on one line."""
    with pytest.raises(Rejected, match="is no mail address") as refusal:
        mail_address(text)

    assert str(refusal.value).isprintable()
