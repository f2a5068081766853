"""Where the PDFs of invoices are kept."""
