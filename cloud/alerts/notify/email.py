"""Mails over SMTP, by aiosmtplib."""

from datetime import datetime
from email.message import EmailMessage

import aiosmtplib
import anyio

from cloud.alerts.errors import DeliveryError, Rejected, Transient
from cloud.alerts.notify.message import Letterhead, compose
from cloud.settings import Smtp
from wire.events import AlertNotice

_IMPLICIT_TLS_PORT = 465
_PERMANENT = range(500, 600)
_START_TLS = {"required": True, "opportunistic": None, "off": False}


class EmailNotifier:
    """Sends notices to one recipient through one server.

    `starttls = "required"` refuses a server that cannot encrypt or shows no valid certificate;
    "opportunistic" encrypts when the server can, and checks the certificate only when a
    password is at stake. Port 465 is encrypted from the first byte, whatever `starttls` says.
    """

    def __init__(self, smtp: Smtp, letterhead: Letterhead, *, recipient: str) -> None:
        self._smtp = smtp
        self._letterhead = letterhead
        self._recipient = recipient

    async def send(self, notice: AlertNotice, *, message_id: str, now: datetime) -> None:
        """Mail the notice."""
        mail = compose(
            notice, self._letterhead, recipient=self._recipient, message_id=message_id, now=now
        )
        where = f"{self._smtp.host}:{self._smtp.port}"
        try:
            with anyio.fail_after(self._smtp.timeout_s):
                await self._hand_over(mail)
        except TimeoutError as exc:
            limit = f"{self._smtp.timeout_s:g} s"
            raise Transient(f"{where} did not take the mail within {limit}") from exc
        except aiosmtplib.SMTPRecipientsRefused as exc:
            raise _refusal(where, exc.recipients[0]) from exc
        except aiosmtplib.SMTPResponseException as exc:
            raise _refusal(where, exc) from exc
        except (aiosmtplib.SMTPException, OSError) as exc:
            raise Transient(f"{where} did not take the mail: {exc}") from exc

    async def _hand_over(self, mail: EmailMessage) -> None:
        smtp = self._smtp
        password = smtp.password.reveal() if smtp.password else None
        encrypted_at_once = smtp.port == _IMPLICIT_TLS_PORT
        await aiosmtplib.send(
            mail,
            hostname=smtp.host,
            port=smtp.port,
            username=smtp.username,
            password=password,
            use_tls=encrypted_at_once,
            start_tls=False if encrypted_at_once else _START_TLS[smtp.starttls],
            validate_certs=smtp.starttls == "required" or password is not None,
            timeout=smtp.timeout_s,
        )


def _refusal(where: str, answer: aiosmtplib.SMTPResponseException) -> DeliveryError:
    """Return what an answer means: 5xx is final, but for a password that can be corrected."""
    text = f"{where} answered {answer.code}: {answer.message}"
    wrong_password = isinstance(answer, aiosmtplib.SMTPAuthenticationError)
    if answer.code in _PERMANENT and not wrong_password:
        return Rejected(text)
    return Transient(text)
