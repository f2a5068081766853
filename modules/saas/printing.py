"""Print an invoice in a process of its own."""

from collections.abc import Awaitable, Callable

import anyio

from modules.saas.invoice import Invoice
from tidegate.printing.errors import PrintFailed
from tidegate.printing.process import print_in_process

Printer = Callable[[Invoice], Awaitable[bytes]]
"""What the steps are given as `invoice_printer`: an invoice's PDF."""

_TARGET = "modules.saas.typeset:typeset"
_MEMORY_BYTES = 2 * 1024**3
_AT_ONCE = 2


class ProcessPrinter:
    """Starts a process for each PDF, at most two at once."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._places = anyio.CapacityLimiter(_AT_ONCE)

    async def __call__(self, invoice: Invoice) -> bytes:
        """Return the PDF; cancelling kills the printing process.

        Raises:
            PrintUnavailable: a library is missing; the text says how to install it.
            PrintFailed: it took longer than the timeout, or the process failed.
        """
        try:
            return await print_in_process(
                invoice,
                _TARGET,
                timeout_s=self._timeout_s,
                memory_bytes=_MEMORY_BYTES,
                places=self._places,
            )
        except TimeoutError as exc:
            raise PrintFailed(
                f"printing {invoice.number} took longer than {self._timeout_s:g} s: "
                "raise [terms] print_timeout_s, or print less at once"
            ) from exc
