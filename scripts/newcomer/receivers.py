"""Who gets told: a webhook receiver that checks signatures, and a mail server."""

import base64
import secrets
from email.message import EmailMessage
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.support import receivers


class WebhookReceiver(receivers.HttpReceiver):
    """Takes posts and keeps those that are signed with its secret; counts the others."""

    def __init__(self) -> None:
        super().__init__()
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        self.signed: list[dict[str, Any]] = []
        self.unsigned = 0

    def about(self, *texts: str) -> dict[str, Any] | None:
        """Return the first signed post that contains all the texts, if one came."""
        self._verify_new()
        return next((post for post in self.signed if all(t in repr(post) for t in texts)), None)

    def _verify_new(self) -> None:
        """Verify what has come since the last look: a signature is good for five minutes."""
        for post in self.received[len(self.signed) + self.unsigned :]:
            try:
                self.signed.append(Webhook(self.secret).verify(post.body, post.headers))
            except (WebhookVerificationError, ValueError):
                self.unsigned += 1


class MailReceiver(receivers.MailReceiver):
    """Keeps the mails that it is sent."""

    def about(self, *texts: str) -> EmailMessage | None:
        """Return the first mail that has all the texts in its subject or its plain body."""
        mails = list(self.mails)
        return next((mail for mail in mails if all(t in _readable(mail) for t in texts)), None)


def _readable(mail: EmailMessage) -> str:
    body = mail.get_body(("plain", "html"))
    return f"{mail['subject']}\n{body.get_content() if body else ''}"
