"""Schemas: what they may refer to, and how much of the data a refusal repeats."""

import http.server
import threading
from pathlib import Path

import pytest

from tidegate.engine.schemas import Checker, InvalidData
from tidegate.errors import Misconfigured


class _Counting(http.server.BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        type(self).asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"type": "string"}')

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def test_schemas_fetch_nothing_by_http() -> None:
    """A schema that refers to an address is refused, and nobody is asked."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Counting) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            with pytest.raises(Misconfigured, match="not in the schema"):
                Checker({"$ref": f"http://127.0.0.1:{server.server_port}/s.json"})
        finally:
            server.shutdown()
            serving.join(5)

    assert _Counting.asked == 0


def test_schemas_read_no_file(tmp_path: Path) -> None:
    """A schema that refers to a file is refused."""
    (tmp_path / "s.json").write_text('{"type": "string"}')

    with pytest.raises(Misconfigured, match="not in the schema"):
        Checker({"$ref": (tmp_path / "s.json").as_uri()})


def test_schemas_refer_to_their_own_parts() -> None:
    """References inside of a schema hold."""
    checker = Checker({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}})

    assert checker.check(1) == 1


def test_schemas_repeat_little_of_the_data() -> None:
    """A refusal of a megabyte does not quote it whole: it stands in answers and dead letters."""
    with pytest.raises(InvalidData) as refused:
        Checker({"type": "integer"}).check("x" * 1_000_000)

    assert len(str(refused.value)) < 1_000
