"""Calls over HTTP with as little of Python as can be: requests made before, answers not parsed.

`python -m bench.steps.http_calls sequence PORT COUNT` calls one after the other on one connection
and prints how long the first and the last thousand took; `… flood PORT PATH CONNECTIONS SECONDS`
is what stands in for wrk where it is not installed, and prints what `load.lua` prints.
"""

import json
import select
import socket
import sys
import time
from statistics import median

from bench.steps.contract import KEYS

_TIMEOUT_S = 30.0
_PART = 1_000
_READ_BYTES = 65_536
_OK = b"HTTP/1.1 200"
_LENGTH = b"content-length: "


class Refused(Exception):
    """The server answered with an error, or not at all."""


def post(path: str, key: int) -> bytes:
    """Return a whole request; its body has 75 bytes, as wrk's has."""
    body = f'{{"key":"key-{key:04}","amount":12,"unit":"kWh","note":"75 bytes, with its key"}}'
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def is_whole(answer: bytes) -> bool:
    """Tell whether an answer has come to its end; raise `Refused` when it is none of 200."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    if not head.startswith(_OK):
        raise Refused(head.split(b"\r\n", 1)[0].decode(errors="replace"))
    head = head.lower()
    length = head[head.index(_LENGTH) + len(_LENGTH) :].split(b"\r\n", 1)[0]
    return len(body) >= int(length)


def call(connection: socket.socket, request: bytes) -> bytes:
    """Send a request and return the whole answer."""
    connection.sendall(request)
    answer = b""
    while not is_whole(answer):
        answer += _received(connection)
    return answer


def connect(port: int) -> socket.socket:
    """Connect to a server of this machine."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def sequence(port: int, count: int) -> dict[str, float]:
    """Call the writing step; warm up for a hundredth, but a thousand calls at most."""
    requests = [post("/write", key) for key in range(KEYS)]
    took_ms = []
    with connect(port) as connection:
        for index in range(min(_PART, count // 100)):
            call(connection, requests[index % KEYS])
        for index in range(count):
            began_s = time.perf_counter()
            call(connection, requests[index % KEYS])
            took_ms.append((time.perf_counter() - began_s) * 1000)
    part = min(_PART, count // 2)
    return {"first_p50_ms": median(took_ms[:part]), "last_p50_ms": median(took_ms[-part:])}


def flood(port: int, path: str, connections: int, seconds: float) -> tuple[int, float]:
    """Keep every connection busy; returns how many calls were answered in how many seconds."""
    requests = [post(path, key) for key in range(KEYS)]
    answered = 0
    waiting = select.epoll()
    open_ones = {one.fileno(): one for one in (connect(port) for _ in range(connections))}
    parts = dict.fromkeys(open_ones, b"")
    for number, connection in open_ones.items():
        waiting.register(number, select.EPOLLIN)
        connection.sendall(requests[number % KEYS])
    began_s = time.perf_counter()
    while (took_s := time.perf_counter() - began_s) < seconds:
        for number, _ in waiting.poll(_TIMEOUT_S):
            parts[number] += _received(open_ones[number])
            if is_whole(parts[number]):
                answered += 1
                parts[number] = b""
                open_ones[number].sendall(requests[answered % KEYS])
    for connection in open_ones.values():
        connection.close()
    return answered, took_s


def _received(connection: socket.socket) -> bytes:
    part = connection.recv(_READ_BYTES)
    if not part:
        raise Refused("the connection ended within an answer")
    return part


def main() -> None:
    """Do what the command line says."""
    if sys.argv[1] == "sequence":
        print(json.dumps(sequence(int(sys.argv[2]), int(sys.argv[3]))))
        return
    port, path, connections, seconds = sys.argv[2:6]
    answered, took_s = flood(int(port), path, int(connections), float(seconds))
    print(f"found {answered} {took_s * 1_000_000:.0f} 0")


if __name__ == "__main__":
    main()
