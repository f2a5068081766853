"""PDFs of invoices in memory: for tests and for trying things out."""


class MemoryInvoiceFiles:
    """See `port.InvoiceFiles`; `kept` may be looked into."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}

    async def write(self, tenant_id: str, number: str, content: bytes) -> None:
        """Keep a PDF."""
        self.kept[(tenant_id, number)] = content

    async def read(self, tenant_id: str, number: str) -> bytes | None:
        """Return a PDF, None when there is none."""
        return self.kept.get((tenant_id, number))
