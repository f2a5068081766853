"""What buffered calls of `ctx` return: they are done already, and may be awaited all the same."""

from collections.abc import Awaitable, Generator


class _Noted:
    def __await__(self) -> Generator[None, None, None]:
        return
        yield


NOTED: Awaitable[None] = _Noted()
