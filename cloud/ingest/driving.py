"""The selector's part in driving a connection by hand."""

import selectors
import time
from socket import socket
from typing import Any

from cloud.ingest.client import BulkClient

_LEAVE_S = 1.0


def write_out(client: BulkClient) -> None:
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


def watch(
    selector: selectors.BaseSelector, connection: socket | Any, watched: int, *, wanted: int
) -> None:
    """Wait for other events of a connection than until now; 0 is none."""
    if not watched:
        selector.register(connection, wanted, data="broker")
    elif not wanted:
        selector.unregister(connection)
    else:
        selector.modify(connection, wanted, data="broker")
