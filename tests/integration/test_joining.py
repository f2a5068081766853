"""What processes that share a store or a folder agree on before they join."""

from pathlib import Path

import anyio
import pytest

from tests.support.instances import tidegate
from tidegate.running.joining import _realm, instance_in
from tidegate.store.open import open_store

pytestmark = pytest.mark.anyio


def _now_ms() -> int:
    return 1_700_000_000_000


async def test_realm_is_one_for_all_who_share_a_store(tmp_path: Path) -> None:
    """Whoever asks first names it; another store has another name."""
    names: list[str] = []

    async def ask(url: str) -> None:
        async with open_store(url) as store:
            names.append(await _realm(store, _now_ms))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(ask, f"sqlite:///{tmp_path / 'one.db'}")
    await ask(f"sqlite:///{tmp_path / 'two.db'}")

    assert len(set(names[:4])) == 1
    assert names[4] not in names[:4]


async def test_instance_has_a_name_of_its_own(tmp_path: Path) -> None:
    """Two processes of a folder have two names; whoever comes back has the first free one."""
    with instance_in(tmp_path, "x") as first, instance_in(tmp_path, "x") as second:
        pass
    with instance_in(tmp_path, "x") as again:
        pass

    assert (first, second, again) == ("x-0", "x-1", "x-0")


async def test_start_refuses_a_broker_that_is_no_url(tmp_path: Path) -> None:
    """A wrong `--mqtt` is the operator's to correct: exit code 2, and no password in the text."""
    (tmp_path / "steps").mkdir()

    done = await anyio.to_thread.run_sync(
        lambda: tidegate(
            "start", "--steps", tmp_path / "steps", "--data", tmp_path / "data",
            "--mqtt", "amqp://me:hidden@host",
        )
    )  # fmt: skip

    assert done.returncode == 2, done.stderr
    assert "write mqtt://" in done.stderr
    assert "hidden" not in done.stderr
