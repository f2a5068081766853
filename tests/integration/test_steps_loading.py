"""What is refused when steps are loaded, before anything starts."""

from pathlib import Path

import pytest

from tests.support.steps import write_steps
from tidegate.errors import Misconfigured
from tidegate.running.loading import load_steps

YIELDS = """
config = {{"type": "api", "name": "Lines", "path": "/lines", "execution": "{execution}"}}
async def handler(req, ctx):
    yield "a line"
"""


def test_loading_refuses_a_handler_in_a_process_that_yields(tmp_path: Path) -> None:
    """Its pieces would be made in this process after all: the file and the way out are told."""
    steps = write_steps(tmp_path, {"lines_step": YIELDS.format(execution="process")})

    with pytest.raises(Misconfigured, match=r"lines_step\.py:\d+: .*yields.*take out execution"):
        load_steps([steps])


def test_loading_takes_a_handler_that_yields(tmp_path: Path) -> None:
    """In this process a handler may yield."""
    steps = write_steps(tmp_path, {"lines_step": YIELDS.format(execution="inline")})

    [step] = load_steps([steps])

    assert step.config.name == "Lines"
