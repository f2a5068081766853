"""Topics of events: which a step may emit, and which a pattern stands for. Pure."""

from tidegate.contract import StepConfig


def emits(step: StepConfig, topic: str) -> bool:
    """Tell whether the step may emit the topic; without a list it may emit any."""
    return step.emits is None or any(matches(pattern, topic) for pattern in step.emits)


def matches(pattern: str, topic: str) -> bool:
    """Match a topic against an exact name or `a.*` (exactly one more segment)."""
    if not pattern.endswith(".*"):
        return pattern == topic
    prefix, _, last = topic.rpartition(".")
    return prefix == pattern[:-2] and bool(last)
