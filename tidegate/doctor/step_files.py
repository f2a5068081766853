"""Check folders of steps: do they load, and is there what loading cannot see."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tidegate.auth.middleware import MIDDLEWARE_NAMES
from tidegate.contract import Step
from tidegate.definition.discovery import discover
from tidegate.doctor.events import check_events
from tidegate.doctor.finding import Finding, fail, ok, warn
from tidegate.doctor.source import blocking_calls, emitted_topics, undefined_names
from tidegate.errors import Misconfigured
from tidegate.running.generation import OWN_RESOURCES
from tidegate.running.loading import load_steps
from tidegate.running.providing import brings_resources


def check_steps(roots: Sequence[Path]) -> tuple[list[Step], list[Finding]]:
    """Return the steps that could be loaded, and what was found on all.

    Raises:
        Misconfigured: a root is no folder.
    """
    steps = discover(roots).steps
    texts = {step.file: step.file.read_text("utf-8") for step in steps}
    findings = [
        *_loading(roots, len(steps)),
        *_names(steps, texts),
        *_blocking(steps, texts),
    ]
    literal = {
        step.config.name: emitted_topics(texts[step.file])
        for step in steps
        if step.config.emits is None
    }
    configs = [step.config for step in steps]
    return steps, [*findings, *check_events(configs, literal)]


def _loading(roots: Sequence[Path], count: int) -> Iterator[Finding]:
    known = None if brings_resources(roots) else OWN_RESOURCES
    try:
        load_steps(roots, resources=known, middleware=MIDDLEWARE_NAMES)
    except Misconfigured as exc:
        for line in str(exc).splitlines():
            yield fail("steps", line, "correct the file: 'tidegate start' refuses it")
        return
    if count:
        yield ok("steps", f"{count} load")
    else:
        yield warn("steps", "there is none", "a step's file must be called *_step.py")


def _names(steps: Iterable[Step], texts: dict[Path, str]) -> Iterator[Finding]:
    for step in steps:
        for spot in undefined_names(texts[step.file], given=step.given):
            yield fail(
                "names",
                f"{step.file}:{spot.line}: '{spot.name}' is defined nowhere",
                "import it, or provide it in a step_globals.py beside the file",
            )


def _blocking(steps: Iterable[Step], texts: dict[Path, str]) -> Iterator[Finding]:
    for step in steps:
        for spot in blocking_calls(texts[step.file]):
            yield warn(
                "blocking",
                f"{step.file}:{spot.line}: {spot.name} holds up all other steps",
                f"use {spot.instead}, or make the handler a plain 'def'",
            )
