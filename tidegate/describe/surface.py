"""What a document is about: the steps, in one order, and what they have in common. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tidegate.contract import Step, StepConfig, StepType

PARAMETER = re.compile(r":([A-Za-z_]\w*)")


class Surface(NamedTuple):
    """The steps that a document describes, and how the whole is called."""

    steps: Sequence[StepConfig]
    title: str = "Tidegate"
    version: str = "0"

    @property
    def info(self) -> dict[str, str]:
        """The head of a document."""
        return {"title": self.title, "version": self.version}

    def of_type(self, *types: StepType) -> list[StepConfig]:
        """Return the steps of some types."""
        return [step for step in self.steps if step.type in types]


def surface_of(steps: Iterable[Step], *, version: str = "0") -> Surface:
    """Return what to describe, whatever order the steps were found in."""
    configs = sorted((step.config for step in steps), key=lambda config: config.name)
    return Surface(configs, version=version)


def tags_of(steps: Iterable[StepConfig]) -> list[dict[str, str]]:
    """Return the flows of steps as tags."""
    return [{"name": flow} for flow in sorted({flow for step in steps for flow in step.flows})]


def texts_of(config: StepConfig) -> dict[str, Any]:
    """Return a step's description as summary (its first line) and description (when longer)."""
    description = config.description.strip()
    if not description:
        return {}
    first = description.partition("\n")[0]
    return (
        {"summary": first}
        if first == description
        else {
            "summary": first,
            "description": description,
        }
    )


def middleware_names(config: StepConfig) -> list[str]:
    """Return the middlewares of an api step by name, in their order."""
    return [
        item if isinstance(item, str) else str(getattr(item, "__name__", type(item).__name__))
        for item in config.middleware
    ]


def template_of(path: str) -> tuple[str, list[str]]:
    """Turn `/cart/:id/*` into `/cart/{id}/{splat}` and the names in it."""
    names = PARAMETER.findall(path)
    template = PARAMETER.sub(r"{\1}", path)
    if template.endswith("*"):
        splat = "splat" if "splat" not in names else "rest"
        template, names = f"{template[:-1]}{{{splat}}}", [*names, splat]
    return template, names
