"""Real receivers of what the platform sends: an HTTP server and an SMTP server on free ports."""

import threading
from collections.abc import Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiosmtpd.controller import Controller

from tests.support.ports import unused_port


class Answer(NamedTuple):
    """What the HTTP server says to one request; it waits for `after` to be set, if given."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""
    after: threading.Event | None = None


class Posted(NamedTuple):
    """One request that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


class HttpReceiver:
    """Answers POSTs with the given answers in turn, the last one from then on.

    `hung_up` counts the callers that went away before their answer was written.
    """

    def __init__(self, *answers: Answer) -> None:
        self.received: list[Posted] = []
        self.hung_up = 0
        self._answers = list(answers) or [Answer()]
        receiver = self

        class _Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)

            def do_GET(self) -> None:
                receiver._take(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        # Not daemons: leaving waits for every answer, so that `hung_up` is complete.
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.received.append(Posted(request.path, headers, body))
        if answer.after is not None:
            answer.after.wait(10)
        try:
            request.send_response(answer.status)
            for name, value in answer.headers.items():
                request.send_header(name, value)
            request.send_header("content-length", str(len(answer.body)))
            request.end_headers()
            request.wfile.write(answer.body)
        except OSError:
            self.hung_up += 1
            request.close_connection = True


class MailReceiver:
    """Takes mails on a free port, unless it was told how to refuse them.

    `refuse` maps an SMTP command (`RCPT`, `DATA`) to the answer that it gets.
    """

    def __init__(self, **refuse: str) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuse = refuse
        self.port = unused_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    def __enter__(self) -> Self:
        """Start it."""
        self._controller.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self._controller.stop()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        """Answer RCPT TO."""
        if "RCPT" in self.refuse:
            return self.refuse["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Answer DATA."""
        if "DATA" in self.refuse:
            return self.refuse["DATA"]
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"
