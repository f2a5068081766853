"""Find the step files below some roots and load each; one bad file never hides the others."""

import ast
import inspect
import re
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tidegate.contract import Handler, Step
from tidegate.definition.normalise import normalise
from tidegate.definition.siblings import execute
from tidegate.errors import Misconfigured

GLOBALS_FILE = "step_globals.py"


class Fault(NamedTuple):
    """A step file that could not be loaded: where and why."""

    file: Path
    line: int | None
    reason: str

    def __str__(self) -> str:
        """Return `file:line: reason`."""
        return f"{self.file}:{self.line or 1}: {self.reason}"


class Discovered(NamedTuple):
    """What the roots hold."""

    steps: list[Step]
    faults: list[Fault]


def discover(roots: Iterable[Path]) -> Discovered:
    """Load every `**/*_step.py` below the roots, in order of their paths.

    Two steps of one name, or two api steps on one method and path, are faults of the second.
    """
    steps: list[Step] = []
    faults: list[Fault] = []
    for file in step_files(roots):
        try:
            step = load(file)
            refuse_double(step, steps)
            steps.append(step)
        except Exception as exc:  # noqa: BLE001 - a step file is foreign code: any error is its own
            faults.append(fault_of(exc, file))
    return Discovered(steps, faults)


def load(file: Path) -> Step:
    """Load one step file.

    Raises:
        Misconfigured: it lacks `config` or `handler`, or one of them is wrong. Whatever the
            file itself raises comes through.
    """
    given = _provided_names(file.parent / GLOBALS_FILE)
    module = execute(file, _module_name(file), given)
    if not hasattr(module, "config"):
        raise Misconfigured("exports no 'config'")
    config = normalise(module.config)
    handler = getattr(module, "handler", None)
    if not callable(handler):
        if config.type != "noop":
            raise Misconfigured("exports no 'handler'")
        handler = _no_handler
    takes, resources = _parameters(handler)
    is_async = inspect.iscoroutinefunction(inspect.unwrap(handler))
    return Step(config, handler, file, takes, is_async, resources, given)


def _no_handler() -> None:
    """Stand for the handler of a noop step, which only appears in pictures."""


def step_files(roots: Iterable[Path]) -> list[Path]:
    """Return the step files below the roots; raise `Misconfigured` when one is no folder."""
    files: list[Path] = []
    for root in roots:
        if not root.is_dir():
            raise Misconfigured(f"no such folder of steps: {root}")
        files.extend(sorted(root.resolve().glob("**/*_step.py")))
    return list(dict.fromkeys(files))


def _module_name(file: Path) -> str:
    return "tidegate_steps." + ".".join(file.with_suffix("").parts[1:]).replace("-", "_")


def _provided_names(file: Path) -> dict[str, object]:
    """Return what a sibling `step_globals.py` provides; a step's own names win over it."""
    if not file.is_file():
        return {}
    module = execute(file, _module_name(file))
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}


def _parameters(handler: Handler) -> tuple[int, tuple[str, ...]]:
    """Return how many positional arguments a handler takes and which resources it asks for."""
    positional = 0
    resources: list[str] = []
    for parameter in inspect.signature(handler).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            resources.append(parameter.name)
        else:
            positional += 1
    if positional > 2:  # noqa: PLR2004 - (input, ctx)
        raise Misconfigured("handler takes more than (input, ctx)")
    return positional, tuple(resources)


def refuse_double(step: Step, known: list[Step]) -> None:
    """Raise `Misconfigured` when a step has the name or the route of one that is known."""
    for other in known:
        if other.config.name == step.config.name:
            raise Misconfigured(f"step name '{step.config.name}' is taken by {other.file}")
        if step.config.type == "api" == other.config.type and _route(step) == _route(other):
            route = f"{step.config.method.upper()} {step.config.path}"
            raise Misconfigured(f"{route} is taken by {other.file}")


def _route(step: Step) -> tuple[str, str]:
    """Return what a request is told apart by: names of parameters are not in it."""
    return step.config.method.upper(), re.sub(r":[A-Za-z_]\w*", ":", step.config.path)


def fault_of(exc: Exception, file: Path) -> Fault:
    """Return what is wrong with a file that raised this when it was loaded."""
    return Fault(file, _line_in(exc, file), _reason(exc))


def config_line(file: Path) -> int | None:
    """Return the line at which a step file that can be parsed sets `config`, else None."""
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return None  # It has changed since it was loaded.
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "config" for target in targets):
            return node.lineno
    return None


def _line_in(exc: BaseException, file: Path) -> int | None:
    if isinstance(exc, SyntaxError) and exc.filename == str(file):
        return exc.lineno
    frames = traceback.extract_tb(exc.__traceback__)
    raised_at = next((f.lineno for f in reversed(frames) if f.filename == str(file)), None)
    return config_line(file) if isinstance(exc, Misconfigured) else raised_at


def _reason(exc: BaseException) -> str:
    return str(exc) if isinstance(exc, Misconfigured) else f"{type(exc).__name__}: {exc}"
