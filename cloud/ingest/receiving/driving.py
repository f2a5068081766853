"""The selector's part in driving a connection by hand."""

import os
import selectors
import socket
import time
from contextlib import suppress
from typing import Any

from cloud.ingest.receiving.client import READ_BYTES, BulkClient

_LEAVE_S = 1.0


def leave(client: BulkClient) -> None:
    """Disconnect in order: all that is queued goes out first, and the broker reads it."""
    connection = client.socket()
    if connection is None:
        return
    # paho closes its own behind the last packet.
    with socket.socket(fileno=os.dup(connection.fileno())) as kept:
        client.disconnect()
        _write_out(client)
        _read_to_end(kept)


def _write_out(client: BulkClient) -> None:
    """Write what is queued, for `_LEAVE_S` at most; the connection is closed behind it."""
    until_s = time.monotonic() + _LEAVE_S
    with selectors.DefaultSelector() as selector:
        connection = client.socket()
        if connection is not None:
            selector.register(connection, selectors.EVENT_WRITE)
        while client.socket() is not None and client.want_write():
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not selector.select(left_s):
                return
            client.loop_write()


def _read_to_end(connection: socket.socket) -> None:
    """Let go what still comes, until the broker closes, for `_LEAVE_S` at most.

    Closing with unread bytes resets the connection: the broker would drop our last packets and
    publish the will.
    """
    until_s = time.monotonic() + _LEAVE_S
    with suppress(OSError), selectors.DefaultSelector() as selector:
        connection.setblocking(False)
        connection.shutdown(socket.SHUT_WR)
        selector.register(connection, selectors.EVENT_READ)
        while selector.select(until_s - time.monotonic()):
            if not connection.recv(READ_BYTES) or time.monotonic() >= until_s:
                return


def watch(selector: selectors.BaseSelector, connection: Any, watched: int, *, wanted: int) -> None:
    """Wait for other events of a connection than until now; 0 is none."""
    if not watched:
        selector.register(connection, wanted, data="broker")
    elif not wanted:
        selector.unregister(connection)
    else:
        selector.modify(connection, wanted, data="broker")
