"""The README's step is a step: it loads and does what the text says."""

import re
from pathlib import Path

import pytest

from tidegate.testing import Harness

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.anyio
async def test_readme_step_asks_for_maintenance_at_the_third_alert(tmp_path: Path) -> None:
    """Three alerts of one device lead to one request, with their count."""
    [step] = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (tmp_path / "hot_pumps_step.py").write_text(step, "utf-8")

    async with Harness(tmp_path) as harness:
        asked = harness.capture("maintenance.requested")
        for device in ("a", "a", "b", "a"):
            await harness.emit("alert.fired", {"device": device})
        await harness.drain()

    assert asked == [{"device": "a", "alerts": 3}]
