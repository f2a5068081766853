"""Who gets told: a webhook receiver and a mail server, both real, both on this machine."""

import base64
import email
import email.policy
import secrets
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.support.ports import unused_port

_MAX_BODY_BYTES = 1_000_000


class WebhookReceiver:
    """Takes posts and keeps what is signed with its secret; counts what is not."""

    def __init__(self) -> None:
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        self.received: list[dict[str, Any]] = []
        self.unsigned = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length", 0)), _MAX_BODY_BYTES)
                status = receiver.take(dict(self.headers), self.rfile.read(length))
                self.send_response(status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing: the smoke run prints its own lines."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Verify and keep one post; return the status to answer with."""
        try:
            self.received.append(Webhook(self.secret).verify(body, headers))
        except (WebhookVerificationError, ValueError):
            self.unsigned += 1
            return 401
        return 204

    def about(self, *texts: str) -> dict[str, Any] | None:
        """Return the first post that contains all the texts, if one came."""
        posts = list(self.received)
        return next((post for post in posts if all(text in repr(post) for text in texts)), None)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class MailReceiver:
    """A mail server that keeps what it is sent."""

    def __init__(self) -> None:
        self.port = unused_port()
        self.mails: list[EmailMessage] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it by this name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take one mail."""
        del server, session
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        self.mails.append(email.message_from_bytes(raw, policy=email.policy.default))
        return "250 OK"

    def about(self, *texts: str) -> EmailMessage | None:
        """Return the first mail that has all the texts in its subject or its plain body."""
        mails = list(self.mails)
        return next((mail for mail in mails if all(t in _readable(mail) for t in texts)), None)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._controller.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._controller.stop()


def _readable(mail: EmailMessage) -> str:
    body = mail.get_body(("plain", "html"))
    return f"{mail['subject']}\n{body.get_content() if body else ''}"
