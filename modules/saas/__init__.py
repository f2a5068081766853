"""The SaaS back end: tenants and their data, metered usage, invoices."""
