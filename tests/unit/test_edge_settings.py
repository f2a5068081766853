"""The agent's settings: defaults, the sample file, what is refused."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

import edge_agent
from edge_agent.filters import Filter
from edge_agent.settings import Settings, load_settings
from tidegate.errors import Misconfigured

_SAMPLE = Path(edge_agent.__file__).with_name("sample.toml")
_COMMENTED_KEY = re.compile(r"^#(?=\[\[|[a-z_]+ = )", re.MULTILINE)
# Without a value by default, so that the sample can only show an example.
_NO_DEFAULT = {"username", "password", "ca_file", "cert_file", "key_file"}


def _sample_values() -> dict[str, Any]:
    return tomllib.loads(_COMMENTED_KEY.sub("", _SAMPLE.read_text()))


def _defaults(settings: msgspec.Struct) -> dict[str, Any]:
    plain = msgspec.to_builtins(settings, enc_hook=str)
    assert isinstance(plain, dict)
    return plain


def test_sample_as_it_is_loads_to_the_defaults() -> None:
    """The sample file without a change is the same as no file."""
    assert load_settings(_SAMPLE) == Settings()


def test_sample_shows_every_key_with_its_default() -> None:
    """Uncommenting the sample's lines gives exactly the defaults of the structs."""
    shown = _sample_values()
    filters = shown.pop("filters")

    expected = _defaults(Settings())
    del expected["filters"]

    assert shown.keys() == expected.keys()
    assert shown["mqtt"].keys() == expected["mqtt"].keys()
    for key in _NO_DEFAULT:
        assert expected["mqtt"].pop(key) is None
        del shown["mqtt"][key]
    assert shown == expected
    assert [msgspec.convert(entry, Filter) for entry in filters] == [Filter(metric="cpu_*")]


def test_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment variable sets a key, and a secret does not show."""
    monkeypatch.setenv("TIDEGATE__MQTT__PASSWORD", "hush")

    settings = load_settings(None, data=Path("elsewhere"))

    assert settings.mqtt.password is not None
    assert settings.mqtt.password.reveal() == "hush"
    assert "hush" not in repr(settings)
    assert settings.data == Path("elsewhere")
    assert settings.client_id == "default/edge"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('devise = "x"', "did you mean 'device'"),
        ('device = "a/b"', "device name contains"),
        ("[mqtt]\nreconnect_max_s = 0.5", "reconnect_max_s"),
        ("[mqtt]\nack_timeout_max_s = 0.5", "ack_timeout_max_s"),
        ('[mqtt]\ncert_file = "x.pem"', "key_file"),
        ('[mqtt]\nca_file = "nowhere.pem"', "nowhere.pem"),
        ("[outbox]\nmax_bytes = 1", "max_bytes"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    """Every refused setting is named in the error."""
    file = tmp_path / "edge.toml"
    file.write_text(text)

    with pytest.raises(Misconfigured, match=re.escape(named)):
        load_settings(file)
