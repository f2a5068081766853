"""The named statements of this adapter."""

from pathlib import Path

from tidegate.store.statements import load_statements

SQL = load_statements(Path(__file__).parent / "queries.sql")
