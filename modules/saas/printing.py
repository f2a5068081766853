"""Print an invoice in a process of its own, so that it neither blocks nor burdens this one."""

import os
import sys
from collections.abc import Awaitable, Callable

import anyio
import msgspec

from modules.saas.errors import PrintFailed, PrintUnavailable
from modules.saas.invoice import Invoice
from modules.saas.print_worker import UNAVAILABLE

Printer = Callable[[Invoice], Awaitable[bytes]]
"""What the steps are given as `invoice_printer`: an invoice's PDF."""

_MODULE = "modules.saas.print_worker"
_AT_ONCE = 2


class ProcessPrinter:
    """Starts a fresh process for each PDF, at most two at once: an idle one would keep 100 MB."""

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
            with anyio.fail_after(self._timeout_s):
                async with self._places:
                    return await self._in_process(invoice)
        except TimeoutError as exc:
            raise PrintFailed(
                f"printing {invoice.number} took longer than {self._timeout_s:g} s: "
                "raise [terms] print_timeout_s, or print less at once"
            ) from exc

    async def _in_process(self, invoice: Invoice) -> bytes:
        done = await anyio.run_process(
            [sys.executable, "-m", _MODULE, str(self._timeout_s)],
            input=msgspec.msgpack.encode(invoice),
            check=False,
            env=_environment(),
        )
        if done.returncode == 0:
            return done.stdout
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit code {done.returncode}"
        if done.returncode == UNAVAILABLE:
            raise PrintUnavailable(reason)
        raise PrintFailed(f"the printing process failed: {reason}")


def _environment() -> dict[str, str]:
    """Return ours, with our import path."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path}
