"""The port of what keeps the PDFs of invoices."""

from typing import Protocol


class InvoiceFiles(Protocol):
    """Keeps a file per tenant and invoice number; what it lost can be printed again."""

    async def write(self, tenant_id: str, number: str, content: bytes) -> None:
        """Keep a PDF, durable on return; the same name again replaces it.

        Raises:
            OSError: it could not be kept.
        """
        ...

    async def read(self, tenant_id: str, number: str) -> bytes | None:
        """Return a PDF, None when there is none."""
        ...
