"""Measurements: `python -m bench NAME [--json]`. A table, and one JSON object on the last line."""
