"""The cloud side: ingest, storage, analytics, alerts, reports, pages, fleet."""
