"""What stands in the way of listening on an address, as one clear line."""

import errno
import socket

import anyio

from tidegate.errors import Misconfigured

_CONNECT_TIMEOUT_S = 1.0
_RETRY_EVERY_S = 0.02
_ANONYMOUS_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
_REASONS = {
    errno.EADDRINUSE: "is in use: stop what listens there or set another [broker] port",
    errno.EACCES: "may not be used: ports below 1024 need root, set another [broker] port",
    errno.EADDRNOTAVAIL: "is no address of this machine: correct [broker] host",
}


def check_free(host: str, port: int) -> None:
    """Bind the address and let it go again.

    Raises:
        Misconfigured: it is in use, forbidden, or not this machine's; the message says what to do.
    """
    where = f"MQTT address {host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except socket.gaierror as exc:
        raise Misconfigured(f"{where}: unknown host: correct [broker] host") from exc
    except OSError as exc:
        reason = _REASONS.get(exc.errno or 0, f"cannot be used: {exc.strerror}")
        raise Misconfigured(f"{where} {reason}") from exc


async def wait_answering(host: str, port: int) -> None:
    """Return when a broker answers there; the caller bounds the time.

    The question is a CONNECT without a name: a broker that refuses it has finished its start.
    """
    while True:
        try:
            with anyio.fail_after(_CONNECT_TIMEOUT_S):
                async with await anyio.connect_tcp(_ANY.get(host, host), port) as stream:
                    await stream.send(_ANONYMOUS_CONNECT)
                    await stream.receive(1)
        except (OSError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError):
            await anyio.sleep(_RETRY_EVERY_S)
        else:
            return
