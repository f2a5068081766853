"""The edge agent runs with nothing but `tidegate[edge]` installed."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

from tests.architecture.tree import ROOT

_LOADED = "import sys, edge_agent.cli; print(*{name.partition('.')[0] for name in sys.modules})"


def _name(requirement: str) -> str:
    """Return the normalised name of a requirement."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def _with_all_they_need(names: set[str]) -> set[str]:
    """Return distributions and, without extras, whatever they require in turn."""
    known: set[str] = set()
    while names - known:
        name = (names - known).pop()
        known.add(name)
        names |= _needs_of(name)
    return known


def _needs_of(name: str) -> set[str]:
    """Return what one distribution requires; nothing when this platform does without it."""
    try:
        return {_name(need) for need in requires(name) or () if "extra ==" not in need}
    except PackageNotFoundError:
        return set()


def test_edge_install_is_enough() -> None:
    """What the agent's command loads comes from the stdlib, our packages or `[edge]`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needs = {*project["dependencies"], *project["optional-dependencies"]["edge"]}
    installed = _with_all_they_need({_name(need) for need in needs})

    done = subprocess.run(
        [sys.executable, "-c", _LOADED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    distributions = packages_distributions()
    loaded = {_name(d) for name in done.stdout.split() for d in distributions.get(name, ())}
    foreign = loaded - installed - {"tidegate", "setuptools"}
    assert foreign == set()
    assert "numpy" not in installed
    assert "starlette" not in installed
