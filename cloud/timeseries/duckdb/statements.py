"""The SQL of the DuckDB store, from the files in `sql/`."""

from importlib import resources

_SQL = resources.files("cloud.timeseries.duckdb") / "sql"


def sql(name: str) -> str:
    """Return the statement in `sql/NAME.sql`, its comments and fields as they stand there."""
    return (_SQL / f"{name}.sql").read_text("utf-8")


def floored(time_ms: str, step_ms: str) -> str:
    """Return an expression for the start of the step that a time lies in, also before 1970."""
    return f"{time_ms} - (({time_ms} % {step_ms}) + {step_ms}) % {step_ms}"
