"""The OpenAPI document of a running system, held against the system by schemathesis."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.instances import started
from tests.support.ports import unused_port
from tests.support.steps import write_steps
from tests.support.varied_steps import STEPS

# Event streams do not end; WebSockets answer 426 to whoever does not upgrade; what a new user's
# password must be like is more than its schema says.
_LEFT_OUT = "^/(api/v1/streams|api/v1/auth|talk|login|logout|metrics)"
_TIMEOUT_S = 90


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_http_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """Whatever is sent by the document, right or wrong, is answered as the document says."""
    port = unused_port()
    address = f"http://127.0.0.1:{port}"
    with started(tmp_path, write_steps(tmp_path / "steps", STEPS), port):
        bearer = f"Bearer {(tmp_path / 'data' / 'admin.token').read_text().strip()}"
        document = httpx.get(f"{address}/openapi.json", headers={"Authorization": bearer})
        (tmp_path / "openapi.json").write_text(document.text)

        done = _schemathesis(tmp_path, "--url", address, "-H", f"Authorization: {bearer}")

    report = json.loads((tmp_path / "report.json").read_text())
    assert done.returncode == 0, done.stdout[-5000:]
    assert _tested(report) >= 20


def _schemathesis(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run all checks, with a seed, so that a failure can be seen again."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", *options,
        "--checks", "all", "--seed", "1", "--max-examples", "25",
        "--exclude-path-regex", _LEFT_OUT, "--warnings", "off", "--no-color",
        "--continue-on-failure", "--generation-database", "none",
        "--report-json-path", "report.json",
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )


def _tested(report: dict[str, Any]) -> int:
    """Return how many operations were tried."""
    return int(report["operations"]["tested"])
