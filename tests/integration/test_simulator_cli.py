"""`tidegate replay` and `tidegate simulate` as commands."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from devices.simulator.cli import replay, simulate
from devices.simulator.recording import write_recording
from tests.support.ports import unused_port
from tests.support.server_process import required
from tests.support.servers import Mosquitto, SilentBroker, mosquitto_program


def _run(*arguments: str | int | Path) -> Result:
    app = typer.Typer()
    app.command()(simulate)
    app.command()(replay)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_replay_command_ends_with_0(mosquitto: Mosquitto, unique_name: str, tmp_path: Path) -> None:
    """All rows acknowledged is exit code 0."""
    write_recording(tmp_path / "r.csv", seed=7, points=700)
    device = f"{unique_name}/recorder"

    result = _run(
        "replay", tmp_path / "r.csv", "--username", device, "--password", "any",
        "--speed", "0", "--port", mosquitto.port,
    )  # fmt: skip

    assert result.exit_code == 0, result.output


def test_replay_command_without_a_broker_ends_with_1(tmp_path: Path) -> None:
    """Not delivered is exit code 1 and one line that says what to look at."""
    write_recording(tmp_path / "r.csv", seed=7, points=3)

    result = _run(
        "replay", tmp_path / "r.csv", "--username", "a/b", "--speed", "0",
        "--port", unused_port(), "--patience", "1",
    )  # fmt: skip

    assert result.exit_code == 1
    assert "is the broker running?" in result.stderr


def test_replay_command_that_is_refused_ends_with_1(tmp_path: Path) -> None:
    """Messages that the broker refuses are exit code 1 and one line that names their topic."""
    program = required(mosquitto_program(), package="mosquitto")
    write_recording(tmp_path / "r.csv", seed=7, points=3)

    with SilentBroker(program, folder=tmp_path / "mosquitto") as broker:
        result = _run(
            "replay", tmp_path / "r.csv", "--username", "a/b", "--speed", "0",
            "--port", broker.port,
        )  # fmt: skip

    assert result.exit_code == 1
    assert "error: the broker refused a message on t/a/b/telemetry" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("replay", "none.csv", "--username", "a/b"), "none.csv: No such file"),
        (("replay", "none.csv", "--username", "nobody"), "is not TENANT/DEVICE"),
        (("replay", "none.csv", "--username", "a/b", "--metric", " x"), "metric name begins"),
        (("simulate", "--accounts", "none.json"), "none.json: No such file"),
        (("simulate", "--tenant", "a/b"), "contains one of / + #"),
    ],
)
def test_bad_input_ends_with_2(arguments: tuple[str, ...], reason: str) -> None:
    """What the user must correct is exit code 2 and one line."""
    result = _run(*arguments)

    assert result.exit_code == 2
    assert reason in result.stderr
    assert "Traceback" not in result.output
