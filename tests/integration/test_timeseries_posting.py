"""One connection to a server, and what becomes of it when the server ends it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cloud.timeseries.servers.address import parse_address
from cloud.timeseries.servers.posting import Posting
from tidegate.configuration import Secret


class _Closing(BaseHTTPRequestHandler):
    """Says with every second answer that it was the connection's last."""

    protocol_version = "HTTP/1.1"
    answers = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).answers += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        if self.answers % 2 == 0:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - it is called so
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """Run such a server; return its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Closing) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_posting_counts_every_connection(port: int) -> None:
    """Also those after a server said that it closes: a restart is told by their number."""
    posting = Posting(parse_address(Secret(f"victoria://127.0.0.1:{port}")), "/x", {}, timeout_s=5)

    answers = [posting.post(b"body").status for _ in range(6)]
    posting.close()

    assert answers == [200] * 6
    assert posting.connections == 3
