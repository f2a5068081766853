"""The shipped mappings against recorded payloads, through the configuration of the guide."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cloud.ingest.intake.mappings import formats_of
from cloud.ingest.intake.rules import TopicRules
from cloud.settings import Ingest, Settings
from tidegate.configuration import load
from wire.errors import Malformed
from wire.messages import Decoded

_ROOT = Path(__file__).parents[2]
_GUIDE = _ROOT / "docs" / "how-to" / "connect-devices.md"
_DEVICES = _ROOT / "tests" / "fixtures" / "devices"
_FILE = re.compile(r"^```toml file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

_RECORDED = [
    pytest.param(message, id=f"{file.parent.name}/{file.stem}-{index}")
    for file in sorted(_DEVICES.glob("*/*.json"))
    for index, message in enumerate(json.loads(file.read_text("utf-8"))["messages"])
]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> TopicRules:
    """Load the guide's configuration and return its topic rules."""
    folder = tmp_path_factory.mktemp("guide")
    for name, text in _FILE.findall(_GUIDE.read_text("utf-8")):
        (folder / name).write_text(text, "utf-8")
    ingest = load(Settings, folder / "tidegate.toml", environ={}).ingest
    ingest = Ingest(topics=ingest.topics, mappings=[folder / file for file in ingest.mappings])
    return TopicRules(ingest, formats_of(ingest))


def _decoded(rules: TopicRules, topic: str, payload: bytes) -> tuple[str, Decoded]:
    owner = rules.owner(topic)
    assert owner.format is not None, f"the guide has no rule for {topic}"
    return owner.device.device, owner.format.decode(payload).by_reading()


@pytest.mark.parametrize("message", _RECORDED)
def test_mapping_reads_what_devices_send(rules: TopicRules, message: dict[str, Any]) -> None:
    """Every recorded payload gives exactly the readings that its file lists."""
    text = message.get("text")
    payload = (json.dumps(message["payload"]) if text is None else text).encode()
    if "reason" in message:
        with pytest.raises(Malformed, match=message["reason"]):
            _raised(_decoded(rules, message["topic"], payload)[1])
        return

    device, decoded = _decoded(rules, message["topic"], payload)

    assert device in message["topic"].split("/")
    assert decoded.refused == []
    expected = [] if message["values"] is None else [message["values"]]
    assert [reading.values for reading in decoded.readings] == expected
    assert [reading.ts_ms for reading in decoded.readings] in ([], [message.get("ts_ms")])
    for reading in decoded.readings:
        assert all(type(value) in (float, bool, str) for value in reading.values.values())


def _raised(decoded: Decoded) -> None:
    """A refused reading counts as raised: both end as a dead letter with the reason."""
    for refusal in decoded.refused:
        raise Malformed(refusal.reason)


def test_mapping_of_the_guide_does_what_it_says(rules: TopicRules) -> None:
    """The page's own example is read as the page says."""
    [payload] = re.findall(r"^`(\{.*\})` is read by$", _GUIDE.read_text("utf-8"), re.MULTILINE)

    device, decoded = _decoded(rules, "boilers/cellar/dhw", payload.encode())

    assert device == "cellar"
    assert decoded.readings[0].ts_ms == 1_773_475_200_000
    assert decoded.readings[0].values == {
        "dhw.flow_c": pytest.approx(56.1),
        "dhw.return_c": pytest.approx(40.2),
        "dhw.fault": "E03",
        "dhw.pump": True,
    }


def test_mapping_files_of_ones_own_must_be_right(tmp_path: Path) -> None:
    """A missing file, a name that is taken and a key that is none are named with the file."""
    file = tmp_path / "mine.toml"
    settings = Ingest(mappings=[file])

    with pytest.raises(Malformed, match=r"mine\.toml.*No such file"):
        formats_of(settings)
    file.write_text('name = "shelly"\n[[metrics]]\npath = "**"\n')
    with pytest.raises(Malformed, match=r"mine\.toml: there is a format called 'shelly'"):
        formats_of(settings)
    file.write_text('name = "mine"\n[[metrics]]\npaht = "**"\n')
    with pytest.raises(Malformed, match=r"mine\.toml: unknown key 'metrics\[0\]\.paht'.*'path'"):
        formats_of(settings)
