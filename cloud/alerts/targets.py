"""Who is told: the targets of the settings, and the notifier of each."""

import hashlib
from pathlib import Path

import msgspec

from cloud.alerts.errors import Rejected
from cloud.alerts.notify.email import EmailNotifier
from cloud.alerts.notify.message import Letterhead, mail_address
from cloud.alerts.notify.outbox import OutboxNotifier
from cloud.alerts.notify.port import Notifier
from cloud.alerts.notify.webhook import WebhookNotifier, check_webhook, redacted
from cloud.settings import Settings, zone_of
from tidegate.errors import Misconfigured

# Where mails are addressed to while nobody has said who should get them: they are only kept.
NOBODY_YET = "operators@localhost"
_ID_CHARS = 12


class Target(msgspec.Struct, frozen=True):
    """One place that notices go to.

    `id` names it in events, so that no URL with a token in it is stored; `shown` is what people
    see of it.
    """

    id: str
    shown: str


def webhook_targets(settings: Settings) -> list[Target]:
    """Return the webhooks as targets."""
    return [Target(_id(hook.url), redacted(hook.url)) for hook in settings.alerts.webhooks]


def email_targets(settings: Settings) -> list[Target]:
    """Return the recipients of mails as targets."""
    return [Target(_id(recipient), recipient) for recipient in _recipients(settings)]


def webhook_notifier(settings: Settings, target_id: str) -> Notifier:
    """Return the notifier of a webhook; raise `Rejected` when it is no longer configured."""
    hook = next((hook for hook in settings.alerts.webhooks if _id(hook.url) == target_id), None)
    if hook is None:
        raise Rejected("this webhook is no longer in [[alerts.webhooks]]")
    return WebhookNotifier(hook)


def email_notifier(settings: Settings, target_id: str, *, data_dir: Path) -> Notifier:
    """Return the notifier of a recipient: by SMTP, or without a host into `DIR/outbox`.

    Raises:
        Rejected: the recipient is no longer configured.
    """
    found = (one for one in _recipients(settings) if _id(one) == target_id)
    recipient = next(found, None)
    if recipient is None:
        raise Rejected("this recipient is no longer in alerts.email_to")
    letterhead = Letterhead(
        sender=settings.smtp.sender,
        site=settings.site.name,
        zone=zone_of(settings.site.timezone),
        pages_url=settings.http.public_url,
    )
    if settings.smtp.host is None:
        return OutboxNotifier(data_dir / "outbox", letterhead, recipient=recipient)
    return EmailNotifier(settings.smtp, letterhead, recipient=recipient)


def check_targets(settings: Settings) -> None:
    """Check every target of the settings without contacting it.

    Raises:
        Misconfigured: a URL, a secret or a mail address cannot be used; the message says which
            and what to do.
    """
    for hook in settings.alerts.webhooks:
        check_webhook(hook)
    try:
        for address in (settings.smtp.sender, *settings.alerts.email_to):
            mail_address(address)
    except Rejected as exc:
        raise Misconfigured(f"smtp.sender or alerts.email_to: {exc}") from exc


def _recipients(settings: Settings) -> list[str]:
    """Return who gets mails; while nobody is named and no host is set, they are kept anyway."""
    if settings.alerts.email_to or settings.smtp.host is not None:
        return settings.alerts.email_to
    return [NOBODY_YET]


def _id(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:_ID_CHARS]
