"""The targets of the settings are checked without contacting them."""

from pathlib import Path

import pytest

from cloud.alerts.errors import Rejected
from cloud.alerts.notify.email import EmailNotifier
from cloud.alerts.notify.outbox import OutboxNotifier
from cloud.alerts.targets import (
    check_targets,
    email_notifier,
    email_targets,
    webhook_notifier,
    webhook_targets,
)
from cloud.settings import Alerts, Settings, Smtp, Webhook
from tidegate.configuration import Secret
from tidegate.errors import Misconfigured

_SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def _hooked(url: str, secret: Secret | None = None) -> Settings:
    return Settings(alerts=Alerts(webhooks=[Webhook(url, secret)]))


def test_check_targets_accepts_what_works() -> None:
    """Defaults, a signed webhook, and a named sender are fine."""
    check_targets(Settings())
    check_targets(_hooked("https://hook.example/x", _SECRET))
    check_targets(Settings(smtp=Smtp(sender="Tidegate <tg@plant.example>")))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (_hooked("hook.example/x"), "no http"),
        (_hooked("ftp://hook.example/token"), "no http"),
        (_hooked("https://[::1/x"), "cannot be read"),
        (_hooked("https://hook.example/token", Secret("whsec_x")), "openssl rand"),
        (_hooked("https://hook.example/token", Secret("")), "openssl rand"),
        (Settings(alerts=Alerts(email_to=["ops"])), "'ops' is no mail address"),
        (Settings(smtp=Smtp(sender="")), "is no mail address"),
    ],
)
def test_check_targets_refuses_what_cannot_work(settings: Settings, reason: str) -> None:
    """The message says what is wrong and shows no secret part of a URL."""
    with pytest.raises(Misconfigured, match=reason) as refusal:
        check_targets(settings)

    assert "token" not in str(refusal.value)


def test_a_webhook_is_found_by_its_id_and_shown_without_its_path() -> None:
    """The id leads back to the webhook as long as it is configured."""
    settings = _hooked("https://user:pw@hook.example:8443/services/T0/token?key=1")

    (target,) = webhook_targets(settings)

    assert target.shown == "https://hook.example:8443/…"
    assert webhook_notifier(settings, target.id)
    with pytest.raises(Rejected, match="no longer"):
        webhook_notifier(Settings(), target.id)


@pytest.mark.parametrize(("host", "kind"), [(None, OutboxNotifier), ("mx", EmailNotifier)])
def test_mails_go_to_the_server_or_to_the_outbox(
    host: str | None, kind: type, tmp_path: Path
) -> None:
    """Without a host the same mails are kept."""
    settings = Settings(alerts=Alerts(email_to=["ops@example.com"]), smtp=Smtp(host=host))

    (target,) = email_targets(settings)

    assert isinstance(email_notifier(settings, target.id, data_dir=tmp_path), kind)
    with pytest.raises(Rejected, match="no longer"):
        email_notifier(settings, "other", data_dir=tmp_path)
