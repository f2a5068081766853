"""What a detector says, what all of them add up to, and how it is put before a person. Pure."""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, Literal

import msgspec

CERTAIN = 0.99
REPORT_ABOVE = 0.8
FLAG_ABOVE = 0.5

Finding = Literal["clear", "detected", "not enough data"]


class Verdict(msgspec.Struct, frozen=True):
    """One detector's finding; `confidence` is the probability that it is right, 0 to 0.99.

    `reason` is a sentence for a person, `numbers` are what it stands on.
    """

    finding: Finding
    confidence: float = 0.0
    reason: str = ""
    numbers: Mapping[str, float] = {}

    @property
    def detected(self) -> bool:
        """Tell whether the detector found something."""
        return self.finding == "detected"


CLEAR = Verdict("clear")


def too_little(what: str, has: int, needs: int) -> Verdict:
    """Return the verdict of a detector that cannot say anything yet."""
    numbers = {"has": float(has), "needs": float(needs)}
    return Verdict(
        "not enough data", reason=f"not enough data: {has} of {needs} {what}", numbers=numbers
    )


def detected(confidence: float, reason: str, **numbers: float) -> Verdict:
    """Return a finding; the confidence is brought between 0 and 0.99."""
    rounded = {name: round(float(value), 3) for name, value in numbers.items()}
    return Verdict("detected", min(CERTAIN, max(0.0, confidence)), reason, rounded)


def either(confidences: Iterable[float]) -> float:
    """Return the probability that one of independent findings is right: 1 - prod(1 - c)."""
    return 1.0 - prod(1.0 - min(1.0, max(0.0, confidence)) for confidence in confidences)


def calculate_cheat_confidence(verdicts: Mapping[str, Verdict]) -> float:
    """Return the probability of cheating, 0 to 1, from what the detectors found."""
    return either(verdict.confidence for verdict in verdicts.values() if verdict.detected)


def compile_evidence(verdicts: Mapping[str, Verdict]) -> list[dict[str, Any]]:
    """Return the findings, the surest first, each with a sentence and its numbers."""
    found = [(name, verdict) for name, verdict in verdicts.items() if verdict.detected]
    return [
        {
            "detector": name,
            "confidence": round(verdict.confidence, 3),
            "reason": verdict.reason,
            "numbers": dict(verdict.numbers),
        }
        for name, verdict in sorted(found, key=lambda item: -item[1].confidence)
    ]
