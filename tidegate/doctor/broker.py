"""Check that an MQTT broker answers and lets us in."""

import socket
import ssl
from urllib.parse import SplitResult, unquote, urlsplit

from tidegate.doctor.finding import Finding, fail, ok
from tidegate.errors import Misconfigured

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_TIMEOUT_S = 5.0
_CHECK = "broker"
_REFUSALS = {
    1: "it does not speak MQTT 3.1.1",
    2: "it refuses our client id",
    3: "it is not available",
    4: "user name or password is wrong",
    5: "it does not let us in",
}


def check_broker(url: str) -> Finding:
    """Tell whether the broker of `mqtt[s]://user:password@host:port` takes a connection.

    Raises:
        Misconfigured: it is no such URL.
    """
    parts = _parsed(url)
    place = f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
    try:
        code = _answer(parts)
    except (OSError, EOFError) as exc:
        advice = "start it, or correct --mqtt and what is between"
        return fail(_CHECK, f"{place} does not answer ({exc})", advice)
    if code:
        reason = _REFUSALS.get(code, f"it answers {code}")
        return fail(_CHECK, f"{place}: {reason}", "correct user name and password in --mqtt")
    return ok(_CHECK, f"{place} lets us in")


def _parsed(url: str) -> SplitResult:
    # The text is not repeated: it may hold a password.
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as exc:
        raise Misconfigured("--mqtt: host or port cannot be read") from exc
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Misconfigured("--mqtt: write mqtt://user:password@host:port")
    return parts


def _answer(parts: SplitResult) -> int:
    """Connect and return the broker's return code; the connection is closed again."""
    address = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
    with socket.create_connection(address, timeout=_TIMEOUT_S) as plain:
        connection = plain
        if parts.scheme == "mqtts":
            context = ssl.create_default_context()
            connection = context.wrap_socket(plain, server_hostname=parts.hostname)
        connection.sendall(_connect(parts.username, parts.password))
        answer = connection.recv(4)
        if len(answer) < 4 or answer[0] != 0x20:  # noqa: PLR2004 - CONNACK
            raise EOFError("it is no MQTT broker, or closes the connection")
        connection.sendall(b"\xe0\x00")
        return answer[3]


def _connect(username: str | None, password: str | None) -> bytes:
    """Return a CONNECT packet of MQTT 3.1.1 for a clean session."""
    # A broker of ours knows clients by their user names.
    client = unquote(username) if username else ""
    flags, payload = 0x02, _text(client)
    for value, flag in ((username, 0x80), (password, 0x40)):
        if value is not None:
            flags |= flag
            payload += _text(unquote(value))
    body = _text("MQTT") + bytes((4, flags, 0, 30)) + payload
    return b"\x10" + _length(len(body)) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _length(size: int) -> bytes:
    encoded = bytearray()
    while True:
        size, digit = divmod(size, 128)
        encoded.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(encoded)
