"""The import contracts of pyproject.toml: the tree keeps them, and each of them bites."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
_LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


class Violation(NamedTuple):
    """Lines added to files of the tree, and the number of the contract that they break."""

    contract: int
    lines: dict[str, str]


def _adds(contract: int, file: str, line: str) -> Violation:
    return Violation(contract, {file: line})


VIOLATIONS = [
    _adds(1, "wire/ids.py", "import tidegate.errors"),
    _adds(1, "wire/new.py", "from cloud import settings"),
    _adds(1, "tidegate/errors.py", "import cloud.settings"),
    _adds(1, "tidegate/http/new.py", "import edge_agent.settings"),
    _adds(1, "broker/rules.py", "import cloud.settings"),
    _adds(1, "devices/simulator/new.py", "import broker.rules"),
    _adds(1, "modules/__init__.py", "import cloud.settings"),
    _adds(2, "cloud/ingest/new.py", "import cloud.alerts.rules"),
    _adds(2, "cloud/alerts/steps/new_step.py", "from cloud.dashboard import views"),
    _adds(2, "cloud/reports/new.py", "import cloud.analytics"),
    _adds(2, "cloud/fleet/new.py", "import cloud.ingest"),
    _adds(2, "cloud/timeseries/port.py", "import cloud.fleet"),
    _adds(2, "cloud/dashboard/new.py", "import cloud.app"),
    _adds(2, "cloud/settings.py", "import cloud.timeseries.port"),
    _adds(2, "cloud/undeclared.py", "'''A package that nobody placed.'''"),
    _adds(3, "tidegate/errors.py", "import tidegate.contract"),
    _adds(3, "tidegate/engine/values.py", "import tidegate.http.request"),
    _adds(3, "tidegate/store/port.py", "import tidegate.engine.engine"),
    _adds(3, "tidegate/printing/new.py", "import tidegate.store.port"),
    _adds(3, "tidegate/undeclared.py", "'''A package that nobody placed.'''"),
    _adds(4, "edge_agent/new.py", "import cloud.settings"),
    _adds(4, "devices/simulator/new.py", "import edge_agent.settings"),
    _adds(4, "cloud/ingest/new.py", "import edge_agent.settings"),
    Violation(5, {"modules/one/__init__.py": "import modules.two", "modules/two/__init__.py": ""}),
    _adds(6, "cloud/dashboard/new.py", "import cloud.timeseries.duckdb"),
    _adds(6, "cloud/ingest/new.py", "import broker.run"),
    _adds(6, "cloud/alerts/steps/new_step.py", "from tidegate.engine.engine import Engine"),
    _adds(6, "cloud/fleet/new.py", "import tidegate.store.sqlite"),
    _adds(6, "modules/new.py", "import broker.accounts"),
    _adds(7, "wire/topics.py", "import time"),
    _adds(7, "wire/codecs/json.py", "import logging"),
    _adds(7, "cloud/alerts/lifecycle.py", "import httpx"),
    _adds(7, "cloud/analytics/tails.py", "import threading"),
    _adds(7, "edge_agent/filters.py", "import sqlite3"),
    _adds(7, "devices/simulator/signals.py", "from time import monotonic"),
    _adds(8, "edge_agent/new.py", "import anyio"),
    _adds(8, "edge_agent/new.py", "import numpy"),
    _adds(8, "tidegate/configuration.py", "import structlog"),
    _adds(9, "cloud/dashboard/new.py", "import httpx"),
    _adds(9, "cloud/ingest/new.py", "import duckdb"),
    _adds(9, "cloud/alerts/new.py", "import pandas"),
    _adds(9, "edge_agent/new.py", "import typer"),
    _adds(9, "tidegate/http/new.py", "import sqlite3"),
    _adds(9, "modules/saas/new.py", "import weasyprint"),
    _adds(9, "wire/new.py", "import pydantic"),
    _adds(10, "cloud/ingest/ledger/spans.py", "import cloud.ingest.batch"),
    _adds(10, "cloud/ingest/receiving/frames.py", "import cloud.ingest.intake.intake"),
    _adds(10, "cloud/ingest/spool/frame.py", "import cloud.ingest.storing"),
    _adds(10, "cloud/ingest/undeclared.py", "'''A room that nobody placed.'''"),
    Violation(
        11,
        {
            "cloud/alerts/new/__init__.py": "import cloud.alerts.newer",
            "cloud/alerts/newer/__init__.py": "import cloud.alerts.new",
        },
    ),
]


def _packages() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages: list[str] = project["tool"]["importlinter"]["root_packages"]
    return packages


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the packages and of their contracts."""
    for package in _packages():
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("__pycache__", "static"),
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _broken_contracts(tree: Path) -> set[int]:
    done = subprocess.run(
        [sys.executable, "-c", _LINT, "--no-cache"],
        cwd=tree,
        env={"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    verdicts = re.findall(r"^(\d+) .+ (KEPT|BROKEN)", done.stdout, re.MULTILINE)
    assert verdicts, f"no verdicts: {done.stdout}{done.stderr}"
    return {int(number) for number, verdict in verdicts if verdict == "BROKEN"}


def test_imports_keep_all_contracts(tree: Path) -> None:
    """The tree as it is breaks none of them."""
    assert _broken_contracts(tree) == set()


@pytest.mark.parametrize(
    "violation", VIOLATIONS, ids=lambda v: f"{v.contract}-{next(iter(v.lines.items()))}"
)
def test_imports_violation_is_caught(tree: Path, violation: Violation) -> None:
    """One wrong import breaks the contract that is about it."""
    for name, line in violation.lines.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file.read_text() if file.exists() else ''}\n{line}\n")

    broken = _broken_contracts(tree)

    assert violation.contract in broken
