"""Telemetry in one DuckDB file: the store that needs no server."""

from cloud.timeseries.duckdb.store import DuckDB

__all__ = ["DuckDB"]
