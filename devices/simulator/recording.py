"""Makes a recorded series with one known fault: what tests replay instead of a data set.

python -m devices.simulator.recording FILE [--points 600] [--kind shift] [--at 500]
"""

import argparse
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from devices.simulator.noise import Noise

START = datetime(2024, 1, 1, tzinfo=UTC)
LEVEL, SIGMA = 20.0, 0.5
_SWING, _SWING_ROWS = 1.0, 300


class RecordedFault(msgspec.Struct, frozen=True, kw_only=True):
    """From row `at` (counted from 0), `rows` values are off by `sigmas` standard deviations."""

    kind: str = "shift"
    at: int = 500
    rows: int = 60
    sigmas: float = 12.0

    def off(self, row: int) -> float:
        """Return what the fault adds to a row."""
        rows = 1 if self.kind == "spike" else self.rows
        if not self.at <= row < self.at + rows:
            return 0.0
        share = (row - self.at + 1) / rows if self.kind == "drift" else 1.0
        return share * self.sigmas * SIGMA


def write_recording(
    path: Path, *, seed: int, points: int = 600, fault: RecordedFault | None = None
) -> None:
    """Write `timestamp,value` rows, one a second from 2024-01-01: the same seed, the same file."""
    noise = Noise(f"recording|{seed}")
    lines = ["timestamp,value"]
    for row in range(points):
        value = LEVEL + _SWING * math.sin(2 * math.pi * row / _SWING_ROWS)
        value += SIGMA * noise.at("white", row).gauss(0, 1) + (fault.off(row) if fault else 0.0)
        lines.append(f"{START + timedelta(seconds=row):%Y-%m-%dT%H:%M:%SZ},{value:.4f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Write a recording as the command line says."""
    parser = argparse.ArgumentParser(description=write_recording.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--points", type=int, default=600)
    parser.add_argument("--kind", choices=["shift", "spike", "drift", "none"], default="shift")
    parser.add_argument("--at", type=int, default=500)
    options = parser.parse_args()
    fault = None if options.kind == "none" else RecordedFault(kind=options.kind, at=options.at)
    write_recording(options.file, seed=options.seed, points=options.points, fault=fault)


if __name__ == "__main__":
    main()
