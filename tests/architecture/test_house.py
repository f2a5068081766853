"""How the house is laid out: names, sizes, the register of dependencies, the reference."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from scripts import reference
from scripts.pages import commands, events, steps
from tests.architecture.tree import (
    PRODUCT,
    ROOT,
    TOOLING,
    functions,
    imported,
    lines_of,
    parsed,
    python_files,
    shown,
)

MAX_FUNCTION_LINES = 60
MAX_MODULE_LINES = 400
_BANNED_NAMES = frozenset({"utils", "util", "helpers", "common", "core", "manager", "misc"})
_CLOCKS = frozenset({"now", "utcnow", "today"})
# What an import is called → what the distribution is called, where they differ.
_DISTRIBUTIONS = {
    "argon2": "argon2-cffi",
    "backports": "backports.zstd",
    "google": "protobuf",
    "influxdb_client": "influxdb-client",
    "importlinter": "import-linter",
    "multipart": "python-multipart",
    "openapi_spec_validator": "openapi-spec-validator",
    "paho": "paho-mqtt",
    "prometheus_client": "prometheus-client",
    "jsonschema_rs": "jsonschema-rs",
    "psycopg_pool": "psycopg-pool",
    "pytest_socket": "pytest-socket",
    "sklearn": "scikit-learn",
    "taskiq_redis": "taskiq-redis",
    "typing_extensions": "typing-extensions",
}

# `compression` came with Python 3.14.
_STANDARD = sys.stdlib_module_names | {"compression"}


def _pure_modules() -> Iterable[Path]:
    """Yield the files that contract 7 calls pure."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    pure = next(contract for contract in contracts if contract["name"].startswith("7 "))
    for name in pure["source_modules"]:
        place = ROOT.joinpath(*name.split("."))
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def test_house_names_say_what_is_inside() -> None:
    """No module and no folder is named after nothing in particular."""
    parts = {
        (shown(file), part)
        for file in python_files(*PRODUCT, *TOOLING)
        for part in file.relative_to(ROOT).with_suffix("").parts
    }

    banned = sorted(file for file, part in parts if part in _BANNED_NAMES)

    assert banned == []


def test_house_every_folder_of_modules_is_a_package() -> None:
    """A folder without `__init__.py` would hide its files from import-linter."""
    folders = {file.parent for file in python_files(*PRODUCT)}

    hidden = sorted(shown(folder) for folder in folders if not (folder / "__init__.py").exists())

    assert hidden == []


def test_house_functions_are_short() -> None:
    """No function has more than 60 lines beside its docstring."""
    long = [
        f"{shown(file)}:{function.lineno} {function.name} has {lines_of(function)} lines"
        for file in python_files(*PRODUCT, *TOOLING)
        for function in functions(file)
        if lines_of(function) > MAX_FUNCTION_LINES
    ]

    assert long == []


def test_house_modules_are_small() -> None:
    """No module of the product has more than 400 lines."""
    sizes = {
        shown(file): len(file.read_text("utf-8").splitlines())
        for file in python_files(*PRODUCT, "scripts")
    }

    large = {file: lines for file, lines in sizes.items() if lines > MAX_MODULE_LINES}

    assert large == {}


def test_house_pure_modules_read_no_clock() -> None:
    """In pure modules time is an argument: nobody calls datetime.now() and the like."""
    readers = [
        f"{shown(file)}:{node.lineno}"
        for file in _pure_modules()
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Attribute) and node.attr in _CLOCKS
        if isinstance(node.value, ast.Name) and node.value.id in ("datetime", "date")
    ]

    assert readers == []


def test_house_step_files_have_config_and_handler() -> None:
    """Each `*_step.py` has both at its top level, and stands in a folder `steps`."""
    faults = []
    for file in (file for file in python_files(*PRODUCT) if file.name.endswith("_step.py")):
        names = {name for node in parsed(file).body for name in _defined(node)}
        if file.parent.name != "steps" or not {"config", "handler"} <= names:
            faults.append(shown(file))

    assert faults == []


def test_house_steps_load() -> None:
    """Discovery finds all steps and no fault in any."""
    assert steps.found()


def test_house_events_are_declared_and_heard() -> None:
    """What a step subscribes to or emits is either a type in wire.events or heard by a step."""
    found = steps.found()
    heard = {topic for step in found for topic in step.config.subscribes}
    emitted = {topic for step in found for topic in step.config.emits or ()}
    declared = set(events.topics())

    unheard, unknown = emitted - heard - declared, heard - emitted - declared

    assert (unheard, unknown) == (set(), set())


def test_house_dependencies_are_registered() -> None:
    """Every third-party import, and everything in pyproject.toml, has a line in the register."""
    used = {
        _DISTRIBUTIONS.get(name, name).lower()
        for file in python_files(*PRODUCT, *TOOLING)
        for name in imported(file)
        if name not in _STANDARD and not (ROOT / name).is_dir()
    }

    assert sorted((used | _declared()) - _registered()) == []


def test_house_register_has_no_line_too_many() -> None:
    """What nobody declares any more has no line either."""
    assert sorted(_registered() - _declared()) == []


@pytest.mark.parametrize("page", sorted(reference.FOLDER.glob("*.md")), ids=lambda page: page.name)
def test_house_reference_is_made_from_the_code(page: Path) -> None:
    """No page of docs/reference is older than the code, or left over from a page that is gone."""
    assert page.read_text("utf-8") == reference.pages().get(page.name), "run `make docs`"


def test_house_reference_is_complete() -> None:
    """Every page exists, and every step and command has its place in one."""
    written = {page.name: page.read_text("utf-8") for page in reference.FOLDER.glob("*.md")}
    everything = "\n".join(written.values())

    names = [step.config.name for step in steps.found()] + commands.names()

    assert set(written) == set(reference.pages())
    assert [name for name in names if f"`{name}`" not in everything] == []


def test_house_locks_name_no_address() -> None:
    """A lock says what is installed; from where is decided by who installs."""
    for lock in sorted(ROOT.glob("requirements*.lock")):
        text = lock.read_text("utf-8")

        assert "--hash=sha256:" in text
        assert re.search(r"://|^\s*(-i|-f|--\w*index|--find-links)", text, re.MULTILINE) is None


def _declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    names = {
        re.split(r"[^\w.-]", text, maxsplit=1)[0].lower() for group in groups for text in group
    }
    return names - {"tidegate"}


def _registered() -> set[str]:
    register = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \|", register, re.MULTILINE)
    return {name.lower() for name in rows} - {"package", "---"}


def _defined(node: ast.stmt) -> Iterable[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []
