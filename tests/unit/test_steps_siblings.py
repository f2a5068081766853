"""A step's imports find the modules of its own folder."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from tests.support.steps import write_steps
from tidegate.definition.discovery import discover
from tidegate.running.providing import provided
from tidegate.running.reloading import Reloader

pytestmark = pytest.mark.anyio

_STEP = """
{at_top}
config = {{"type": "noop", "name": "{name}"}}
def handler():
    {in_handler}
"""


def _answers(*folders: Path) -> list[Any]:
    found = discover(folders)
    assert found.faults == []
    return [step.handler() for step in found.steps]


def _folder(root: Path, name: str, *, at_top: str, in_handler: str, **files: str) -> Path:
    step = _STEP.format(at_top=at_top, in_handler=in_handler, name=name)
    return write_steps(root / name, {f"{name}_step": step, **files})


@pytest.mark.parametrize(
    ("at_top", "in_handler"),
    [
        ("from rules import WHO", "return WHO"),
        ("import rules", "return rules.WHO"),
        ("", "from rules import WHO; return WHO"),
        ("from through import WHO", "return WHO"),
        ("import through", "return through.lazily()"),
    ],
)
def test_siblings_are_those_of_the_own_folder(tmp_path: Path, at_top: str, in_handler: str) -> None:
    """Two folders have a module of one name: each gets its own, early, late and through another."""
    through = "from rules import WHO\ndef lazily():\n    import rules\n    return rules.WHO\n"
    folders = [
        _folder(
            tmp_path,
            name,
            at_top=at_top,
            in_handler=in_handler,
            rules=f"WHO = {name!r}\n",
            through=through,
        )
        for name in ("one", "two")
    ]

    answers = _answers(*folders)

    assert answers == ["one", "two"]


def test_siblings_are_shared_within_a_folder(tmp_path: Path) -> None:
    """Two steps of a folder share what their sibling module holds."""
    for name in ("a", "b"):
        step = _STEP.format(at_top="import held", in_handler="return held.THING", name=name)
        write_steps(tmp_path, {f"{name}_step": step, "held": "THING = object()\n"})

    first, second = _answers(tmp_path)

    assert first is second


def test_siblings_may_be_packages(tmp_path: Path) -> None:
    """A sibling package is imported with its modules and its relative imports."""
    folders = []
    for name in ("one", "two"):
        folder = _folder(
            tmp_path,
            name,
            at_top="import shop.cart\nfrom shop import cart as same",
            in_handler="return shop.cart.WHO, shop.cart is same",
        )
        package = {"__init__": "", "cart": "from .rules import WHO", "rules": f"WHO = {name!r}"}
        write_steps(folder / "shop", package)
        folders.append(folder)

    answers = _answers(*folders)

    assert answers == [("one", True), ("two", True)]


def test_siblings_do_not_hide_the_standard_library(tmp_path: Path) -> None:
    """A module beside a step that is called like one of Python's is not taken for it."""
    folder = _folder(
        tmp_path, "s", at_top="import colorsys", in_handler="return colorsys.__file__", colorsys=""
    )

    [answer] = _answers(folder)

    assert Path(answer).parent == Path(inspect.__file__).parent


def test_siblings_are_loaded_again_with_their_steps(tmp_path: Path) -> None:
    """A changed sibling is what the steps that import it get, at the top and in handlers."""
    folder = _folder(
        tmp_path,
        "s",
        at_top="from rules import WHO",
        in_handler="import rules; return WHO, rules.WHO",
        rules="WHO = 'old'\n",
    )
    reloader = Reloader([folder], resources=(), middleware=())
    write_steps(folder, {"rules": "WHO = 'the new one'\n"})

    reloader.reload({folder / "rules.py"})

    assert [step.handler() for step in reloader.steps] == [("the new one", "the new one")]


async def test_siblings_are_shared_with_the_resources(tmp_path: Path) -> None:
    """What `step_resources.py` makes is of the class that the steps beside it import."""
    resources = """
    from contextlib import asynccontextmanager
    from shop import Shop
    @asynccontextmanager
    async def resources(data_dir):
        yield {"shop": Shop()}
    """
    folder = _folder(
        tmp_path,
        "s",
        at_top="from shop import Shop",
        in_handler="return Shop",
        shop="class Shop: ...\n",
        step_resources=resources,
    )
    [shop_class] = _answers(folder)

    async with provided([folder], tmp_path, {}) as brought:
        shop = brought["shop"]

    assert isinstance(shop, shop_class)


def test_steps_that_exit_when_loaded_are_faults(tmp_path: Path) -> None:
    """`sys.exit` at the top of a step file, or of its sibling, is a fault of that file."""
    folder = write_steps(
        tmp_path,
        {
            "a_step": "import sys\n\nsys.exit(0)\n",
            "b_step": "import leaving\n",
            "leaving": "raise SystemExit(3)\n",
            "c_step": 'config = {"type": "noop", "name": "C"}\n',
        },
    )

    found = discover([folder])

    assert [step.config.name for step in found.steps] == ["C"]
    assert [str(fault) for fault in found.faults] == [
        f"{folder / 'a_step.py'}:3: ImportError: calls sys.exit(0) when it is loaded",
        f"{folder / 'b_step.py'}:1: ImportError: calls sys.exit(3) when it is loaded",
    ]
