"""Wake a waiting thread or task from any other: a socket pair that both can wait on."""

import socket
from contextlib import suppress

_MANY_BYTES = 4_096


class Wake:
    """Set from anywhere, cleared by the one that waits. Setting it twice is setting it once."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._is_set = False

    def fileno(self) -> int:
        """Return what becomes readable when this is set."""
        return self._read.fileno()

    @property
    def readable(self) -> socket.socket:
        """Return the socket to wait on."""
        return self._read

    def set(self) -> None:
        """Wake the one that waits."""
        if not self._is_set:
            self._is_set = True
            with suppress(BlockingIOError, OSError):
                self._write.send(b"\0")

    def clear(self) -> None:
        """Take the signal back. Look at what it stands for only afterwards, else it is lost."""
        with suppress(BlockingIOError):
            self._read.recv(_MANY_BYTES)
        self._is_set = False

    def close(self) -> None:
        """Free both sockets."""
        self._read.close()
        self._write.close()
