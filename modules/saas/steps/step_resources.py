"""What the steps of this folder ask for: settings, the printer of invoices, where PDFs lie."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from modules.saas.invoice_files.folder import FolderInvoiceFiles
from modules.saas.printing import ProcessPrinter
from modules.saas.settings import ENVIRONMENT, load_settings

log = structlog.get_logger()


@asynccontextmanager
async def resources(data_dir: Path) -> AsyncIterator[Mapping[str, object]]:
    """Provide the resources; settings come from the file that `TIDEGATE_SAAS_CONFIG` names.

    Raises:
        Misconfigured: that file is wrong.
    """
    settings = load_settings(os.environ)
    if settings.seller.is_example:
        log.warning("seller.is_example", set=f"[seller] in the file that {ENVIRONMENT} names")
    yield {
        "saas_settings": settings,
        "invoice_files": FolderInvoiceFiles(data_dir / "invoices"),
        "invoice_printer": ProcessPrinter(timeout_s=settings.terms.print_timeout_s),
    }
