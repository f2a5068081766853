"""Topics that lack an end. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from tidegate.contract import StepConfig
from tidegate.describe.topics import links, may_meet
from tidegate.doctor.finding import Finding, ok, warn

CHECK = "events"


def check_events(steps: Sequence[StepConfig], literal: Mapping[str, set[str]]) -> Iterator[Finding]:
    """Yield what is emitted and not heard, and what is heard and not emitted.

    Args:
        steps: all steps that run together.
        literal: for steps without `emits`, the topics that their files name.
    """
    found = links(steps)
    named = {topic for topics in literal.values() for topic in topics}
    heard = [pattern for step in steps for pattern in step.subscribes]
    loose = False
    for link in found:
        if link.hearer is None:
            loose = True
            yield _unheard(link.emitter or "", link.topic)
        elif link.emitter is None and not any(may_meet(topic, link.topic) for topic in named):
            loose = True
            yield _unemitted(link.hearer, link.topic, steps)
    for name, topics in sorted(literal.items()):
        for topic in sorted(topics):
            if not any(may_meet(topic, pattern) for pattern in heard):
                loose = True
                yield _unheard(name, topic)
    if not loose:
        yield ok(CHECK, "each topic that is emitted is heard, and the other way round")


def _unheard(name: str, topic: str) -> Finding:
    return warn(
        CHECK,
        f"'{topic}', which {name} emits, is heard by no step",
        "subscribe to it, or emit it no more; a misspelt topic looks like this",
    )


def _unemitted(name: str, topic: str, steps: Sequence[StepConfig]) -> Finding:
    free = sorted(step.name for step in steps if step.emits is None and step.type != "noop")
    maybe = f" (without a list may emit it: {', '.join(free[:5])})" if free else ""
    return warn(
        CHECK,
        f"'{topic}', which {name} hears, is emitted by no step{maybe}",
        "list it in the emits of the step that emits it, or correct it",
    )
