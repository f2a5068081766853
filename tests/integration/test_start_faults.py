"""What `tidegate start` says about steps and services that are not as they should be."""

from pathlib import Path

from tests.support.instances import started
from tests.support.ports import unused_port
from tests.support.steps import write_steps


def test_start_warns_of_mqtt_steps_without_a_broker(tmp_path: Path) -> None:
    """Without `--mqtt` the steps that nobody feeds are named once."""
    step = """
    config = {"type": "mqtt", "name": "Meter", "topic": "a/b"}
    async def handler(message, ctx): ...
    """
    steps = write_steps(tmp_path / "steps", {"meter_step": step})

    with started(tmp_path, steps, unused_port()):
        [line] = [
            line
            for line in (tmp_path / "start.log").read_text().splitlines()
            if "mqtt.no_broker" in line
        ]

    assert "Meter" in line
    assert "--mqtt" in line
