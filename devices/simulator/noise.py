"""Randomness as a function of what it is asked for: stateless, so any moment can be asked. Pure."""

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Noise:
    """Random numbers named by (seed, name, index): the same question has the same answer."""

    seed: str

    def at(self, name: str, index: int) -> random.Random:
        """Return the random source of one name and index."""
        return random.Random(f"{self.seed}|{name}|{index}")  # noqa: S311 - simulated noise

    def between(self, name: str, low: float, high: float) -> float:
        """Return a number that stays the same for this seed: a device's own parameter."""
        return self.at(name, 0).uniform(low, high)

    def wander(self, name: str, t_s: float, period_s: float) -> float:
        """Return a smooth random curve: mean 0, deviation about 0.8, no faster than `period_s`."""
        knot = math.floor(t_s / period_s)
        share = (1 - math.cos(math.pi * (t_s / period_s - knot))) / 2
        before, after = (self.at(name, index).gauss(0, 1) for index in (knot, knot + 1))
        return before + share * (after - before)
