"""The places of the store's suite: each test runs on every adapter, once more opened as `other`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tidegate.store.open import open_store
from tidegate.store.port import Store


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty place of each adapter."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """Open it."""
    async with open_store(store_url) as opened:
        yield opened


@pytest.fixture
async def other(store: Store, store_url: str) -> AsyncIterator[Store]:
    """Open the same place once more, as another process does."""
    async with open_store(store_url) as opened:
        yield opened
