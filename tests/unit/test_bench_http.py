"""What the HTTP measurement reads: the load's line, answers of servers."""

import pytest

from bench.steps.http import Answered, read_load
from bench.steps.http_calls import Refused, is_whole, post
from bench.steps.processes import Failed

_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"


def test_load_is_read_from_among_other_lines() -> None:
    """The line of the script stands below the table that wrk prints."""
    found = read_load("Running 5s test\n  2 requests\nfound 25000 5000000 0\n")

    assert found == Answered(25_000, 5.0)


def test_calls_that_failed_fail_the_measurement() -> None:
    """Errors are quick to answer: they must not count as speed."""
    with pytest.raises(Failed, match="3 of 25000 calls"):
        read_load("found 25000 5000000 3")


def test_load_without_its_line_fails() -> None:
    """A load generator that ends early has measured nothing."""
    with pytest.raises(Failed, match="unable to connect"):
        read_load("unable to connect to 127.0.0.1")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-le", _OK, _OK + b"1234"])
def test_answer_in_pieces_is_not_whole(answer: bytes) -> None:
    """An answer ends with its body."""
    assert not is_whole(answer)


def test_answer_is_whole_with_its_body() -> None:
    """The header's spelling does not matter."""
    assert is_whole(_OK.replace(b"content-length", b"Content-Length") + b"12345")


def test_answer_of_an_error_is_refused() -> None:
    """A server that cannot answer is not measured."""
    with pytest.raises(Refused, match="503"):
        is_whole(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")


def test_request_has_a_body_of_75_bytes() -> None:
    """The body is as long as its header says, whatever the key."""
    head, _, body = post("/write", 7).partition(b"\r\n\r\n")

    assert len(body) == 75
    assert b"Content-Length: 75" in head
