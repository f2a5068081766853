"""The guide to testing a step is true: its files are written, and its tests pass."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "how-to" / "test-a-step.md"
_BLOCK = re.compile(r"^```python file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_testing_guide_passes_its_own_tests(tmp_path: Path) -> None:
    """A reader who copies the guide's files and runs pytest sees two tests pass."""
    for name, text in _BLOCK.findall(GUIDE.read_text("utf-8")):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_orders.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert "2 passed" in done.stdout, done.stdout + done.stderr
