"""Load the steps of some roots and check all that can be checked before anything starts."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from tidegate.contract import Step
from tidegate.definition.discovery import Fault, config_line, discover
from tidegate.engine.pointers import Pointer
from tidegate.engine.schedules import schedule_of
from tidegate.engine.schemas import Checker
from tidegate.errors import Misconfigured
from tidegate.http.checking import AnswerChecks
from tidegate.http.generating import is_generator
from tidegate.http.query import QueryConverter
from tidegate.mqtt.filters import check_filter


def load_steps(
    roots: Iterable[Path],
    *,
    resources: Collection[str] | None = None,
    middleware: Collection[str] | None = None,
) -> list[Step]:
    """Return every step below the roots, in order of their paths.

    Args:
        roots: folders of step files.
        resources: names that handlers may ask for; None leaves it unchecked.
        middleware: names that api steps may use; None leaves it unchecked.

    Raises:
        Misconfigured: a step is wrong; the message has a line `file:line: reason` for each.
    """
    found = discover(roots)
    faults = list(found.faults)
    for step in found.steps:
        try:
            check(step, resources=resources, middleware=middleware)
        except Misconfigured as exc:
            faults.append(Fault(step.file, config_line(step.file), str(exc)))
    if faults:
        raise Misconfigured("\n".join(str(fault) for fault in faults))
    return found.steps


def check(
    step: Step,
    *,
    resources: Collection[str] | None = None,
    middleware: Collection[str] | None = None,
) -> None:
    """Check all of a step that can be checked before it runs; see `load_steps`."""
    _check(step)
    _check_names(step, resources, middleware)


def _check(step: Step) -> None:
    config = step.config
    Checker(config.input)
    Checker(config.body_schema)
    QueryConverter(config.query_params)
    AnswerChecks(config.response_schema)
    for pointer in (config.key, config.concurrency_key, config.batch and config.batch.key):
        if pointer:
            Pointer(pointer)
    if config.execution == "process" and step.resources:
        raise Misconfigured("a handler in a process of its own cannot be given resources")
    if config.execution == "process" and is_generator(step):
        raise Misconfigured(
            "a handler that yields cannot run in a process of its own; "
            "return the whole answer, or take out execution"
        )
    if config.type == "cron":
        schedule_of(config)
    if config.type == "mqtt":
        check_filter(config.topic)
    if config.type == "api":
        _check_path(config.path)


def _check_path(path: str) -> None:
    if not path.startswith("/"):
        raise Misconfigured(f"path '{path}' must begin with '/'")
    names = re.findall(r":(\w+)", path)
    if len(names) != len(set(names)):
        raise Misconfigured(f"path '{path}' has a parameter twice")


def _check_names(
    step: Step, resources: Collection[str] | None, middleware: Collection[str] | None
) -> None:
    for name in step.resources:
        if resources is not None and name not in resources:
            raise Misconfigured(f"nobody provides the resource '{name}'; {_known(resources)}")
    for item in step.config.middleware:
        known = middleware is None or callable(item) or item in middleware or item in step.given
        if not known and middleware is not None:
            raise Misconfigured(f"unknown middleware '{item}'; {_known(middleware)}")


def _known(names: Collection[str]) -> str:
    return f"known are: {', '.join(sorted(names)) or 'none'}"
