"""A server that answers writes as InfluxDB 1.8, 2.7 and 3 were seen to, fault by fault.

For the versions that cannot be installed here; what a real 1.6 does is tested on one. Lines with
`bad` in them are those that it does not take.
"""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Version = str
_WRITE_PATHS = {"1": "/write", "2": "/api/v2/write", "3": "/api/v2/write"}
_NO_PARTS = {"results": [{"statement_id": 0}]}


@dataclass(frozen=True)
class Fault:
    """What to answer to one write instead of storing it; `status` 0 resets the connection."""

    status: int
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Codes:
    """What the server is to do, and what it has seen."""

    version: Version
    partial: bool = True
    limit_bytes: int = 2**62
    faults: list[Fault] = field(default_factory=list)
    # Faults of every write with such a line; the others are taken.
    always: dict[str, Fault] = field(default_factory=dict)
    has_database: bool = True
    # As 3 does when it is written to.
    makes_database: bool = False
    lines: list[str] = field(default_factory=list)
    writes: int = 0
    statements: list[str] = field(default_factory=list)
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    port: int = 0

    def url(self, database: str = "db") -> str:
        """Return the address in the form of `[timeseries] url`."""
        if self.version.startswith("1"):
            return f"influx://me:secret-word@127.0.0.1:{self.port}/{database}"
        return f"influx://:secret-word@127.0.0.1:{self.port}/{database}?org=acme"

    @property
    def times(self) -> list[int]:
        """Return the sorted times (ms) of the telemetry that was stored, each once."""
        found = {line.rsplit(" ", 1)[1] for line in self.lines if line.startswith("telemetry,")}
        return sorted(int(ns) // 1_000_000 for ns in found)


@contextmanager
def influx_codes(version: Version) -> Iterator[Codes]:
    """Run such a server."""
    codes = Codes(version)

    class Handler(_Handler):
        state = codes

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        codes.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield codes
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Codes
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        match path.path:
            case "/ping":
                self._ping()
            case "/query":
                self.state.statements += parse_qs(path.query)["q"]
                self._query()
            case "/api/v2/buckets":
                rule = {"type": "expire", "everySeconds": 0}
                bucket = {"id": "b1", "name": "db", "retentionRules": [rule]}
                self._answer(200, json.dumps({"buckets": [bucket]}))
            case _:
                self._answer(404, "404 page not found")

    def do_POST(self) -> None:
        path = urlsplit(self.path)
        self.state.tokens.add(self.headers.get("Authorization"))
        if path.path == _WRITE_PATHS[self.state.version[0]]:
            self._write()
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.state.requests.append(("POST", self.path, body))
        if path.path == "/query":
            self.state.statements += parse_qs(path.query)["q"]
            self.state.has_database = True
            self._answer(200, json.dumps(_NO_PARTS))
        elif path.path == "/api/v2/delete":
            self._answer(204)
        else:
            self._answer(404, "404 page not found")

    def do_PATCH(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.state.requests.append(("PATCH", self.path, body))
        self._answer(200)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - it is called so
        pass

    def _ping(self) -> None:
        headers = {"X-Influxdb-Version": self.state.version, "X-Influxdb-Build": "OSS"}
        if self.state.version.startswith("3"):
            self._answer(200, json.dumps({"version": self.state.version}), headers)
        else:
            self._answer(204, "", headers)

    def _query(self) -> None:
        if self.state.version.startswith("3") and not self.state.has_database:
            self._answer(404, '{"error":"database not found: db"}')
        else:
            self._answer(200, json.dumps(_NO_PARTS))

    def _write(self) -> None:
        state = self.state
        state.writes += 1
        size = int(self.headers["Content-Length"])
        if size > state.limit_bytes:
            # It does not read what it does not want, so the client may see a reset instead.
            self._answer(413, '{"error":"Request Entity Too Large"}')
            self.close_connection = True
            return
        lines = self.rfile.read(size).decode().splitlines()
        fault = state.faults.pop(0) if state.faults else None
        fault = fault or next((f for w, f in state.always.items() if w in "\n".join(lines)), None)
        if fault is not None:
            self._fail(fault)
        elif not state.has_database and not state.makes_database:
            self._answer(404, '{"error":"database not found: \\"db\\""}')
        else:
            self._store(lines)

    def _store(self, lines: list[str]) -> None:
        state = self.state
        bad = [line for line in lines if "bad" in line]
        if bad and not state.partial:
            self._answer(
                400, json.dumps({"code": "invalid", "message": f"unable to parse {bad[0]}"})
            )
            return
        state.lines += [line for line in lines if "bad" not in line]
        if not bad:
            self._answer(204)
            return
        dropped = f"partial write: field type conflict dropped={len(bad)}"
        match state.version[0]:
            case "1":
                self._answer(400, json.dumps({"error": dropped}))
            case "2":
                self._answer(422, json.dumps({"code": "unprocessable entity", "message": dropped}))
            case _:
                data = [{"original_line": bad[0], "line_number": 1, "error_message": "no"}]
                error = "partial write of line protocol occurred"
                self._answer(400, json.dumps({"error": error, "data": data}))

    def _fail(self, fault: Fault) -> None:
        if fault.status:
            self._answer(fault.status, fault.body, fault.headers)
            return
        # No FIN but a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _answer(self, status: int, body: str = "", headers: dict[str, str] | None = None) -> None:
        raw = body.encode()
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)
