"""The servers that these tests ask for beside those of tests/conftest.py."""

from tests.support.postgres import own_postgres, postgres, postgres_url

__all__ = ["own_postgres", "postgres", "postgres_url"]
