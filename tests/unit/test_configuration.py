"""Configuration: file, environment over it, unknown keys named, secrets hidden."""

from pathlib import Path

import msgspec
import pytest

from cloud.settings import Settings
from tidegate.configuration import Secret, load, show
from tidegate.errors import Misconfigured


def _file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "tidegate.toml"
    file.write_text(text, "utf-8")
    return file


def test_load_without_a_file_gives_the_defaults() -> None:
    """No file and no environment is a complete configuration."""
    settings = load(Settings, environ={})

    assert settings == Settings()


def test_load_reads_sections_and_lists(tmp_path: Path) -> None:
    """Sections, lists of sections, paths and secrets get their types."""
    file = _file(
        tmp_path,
        'data = "/srv/tide"\n[http]\nport = 9000\n'
        '[[alerts.webhooks]]\nurl = "https://example.org"\nsecret = "whsec_x"\n'
        '[[alerts.rules]]\nname = "hot"\ntype = "threshold"\nmetric = "t"\nabove = 30\nfor = 5\n',
    )

    settings = load(Settings, file, environ={})

    assert settings.data == Path("/srv/tide")
    assert settings.http.port == 9000
    assert settings.alerts.rules[0].for_s == 5.0
    secret = settings.alerts.webhooks[0].secret
    assert secret is not None
    assert secret.reveal() == "whsec_x"


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A variable overrides one key and leaves its neighbours alone."""
    file = _file(tmp_path, '[http]\nhost = "0.0.0.0"\nport = 9000\n')

    settings = load(Settings, file, environ={"TIDEGATE__HTTP__PORT": "9001", "PATH": "/bin"})

    assert (settings.http.host, settings.http.port) == ("0.0.0.0", 9001)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[htpp]\nport = 1", "unknown key 'htpp', did you mean 'http'?"),
        ("[http]\nprot = 1", "unknown key 'http.prot', did you mean 'port'?"),
        ("[[alerts.rules]]\nnmae = 'x'", "unknown key 'alerts.rules[0].nmae', did you mean"),
        ("[http]\nport = 'x'", "Expected `int`, got `str` - at `http.port`"),
        ("[http]\nport = 0", "Expected `int` >= 1 - at `http.port`"),
        ("[http", "Expected ']'"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    """Each mistake names the file, the key and what would be right."""
    file = _file(tmp_path, text)

    with pytest.raises(Misconfigured) as caught:
        load(Settings, file, environ={})

    assert message in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_variable_is_named() -> None:
    """A misspelt environment variable is refused like a misspelt key."""
    with pytest.raises(Misconfigured, match=r"TIDEGATE__HTTP__PROT: unknown key 'http\.prot'"):
        load(Settings, environ={"TIDEGATE__HTTP__PROT": "1"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A configuration file that is not there is an error, not the defaults."""
    with pytest.raises(Misconfigured, match=r"nowhere\.toml: no such file"):
        load(Settings, tmp_path / "nowhere.toml", environ={})


def test_secrets_never_show() -> None:
    """Neither `repr` nor `show` tells a secret."""
    settings = load(Settings, environ={"TIDEGATE__SMTP__PASSWORD": "hunter2"})

    assert isinstance(settings.smtp.password, Secret)
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in msgspec.json.encode(show(settings)).decode()
