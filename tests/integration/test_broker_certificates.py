"""The certificates tool and the TLS listener of the shipped configuration."""

import os
import shutil
import socket
import ssl
import stat
import subprocess
from pathlib import Path

import pytest

import broker
from broker.accounts import Account, hash_password, render_password_file
from broker.certificates import main, make_device
from broker.installed import find_program
from tests.support.broker_clients import Client
from tests.support.ports import unused_port, wait_for_port
from tests.support.server_process import required
from tidegate.errors import Misconfigured

DEVICE = "acme/pump-1"
SHIPPED = Path(broker.__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a CA, the broker's certificate and a device's."""
    required(shutil.which("openssl"), package="openssl")
    folder = tmp_path / "certificates"
    options = ["--folder", str(folder), "--host", "localhost", "--host", "127.0.0.1"]
    assert main([*options, "--device", DEVICE]) == 0
    return folder


def _openssl(*arguments: str | Path) -> str:
    answer = subprocess.run(
        ["openssl", *map(str, arguments)], check=True, capture_output=True, text=True
    )
    return answer.stdout


def test_certificates_are_signed_and_named(folder: Path) -> None:
    """The chain verifies for its purpose; names are where clients look for them."""
    ca = folder / "ca.crt"

    server = _openssl("x509", "-in", folder / "server.crt", "-noout", "-text")
    subject = _openssl("x509", "-in", folder / "acme--pump-1.crt", "-noout", "-subject")

    assert "DNS:localhost, IP Address:127.0.0.1" in server
    assert subject.strip().endswith(f"CN = {DEVICE}")
    for purpose, name in (("sslserver", "server.crt"), ("sslclient", "acme--pump-1.crt")):
        _openssl("verify", "-CAfile", ca, "-purpose", purpose, folder / name)


def test_keys_are_private(folder: Path) -> None:
    """Nobody but the owner reads a key."""
    modes = {stat.S_IMODE(key.stat().st_mode) for key in folder.glob("*.key")}

    assert modes == {0o600}


def test_nothing_is_overwritten(folder: Path) -> None:
    """A second run adds what is missing and leaves the rest, above all the CA."""
    before = {path: path.read_bytes() for path in folder.glob("*.[ck][re][ty]")}

    make_device(folder, "acme/pump-2")
    main(["--folder", str(folder), "--host", "elsewhere"])

    assert len(before) == 6
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "acme--pump-2.crt").exists()


@pytest.mark.parametrize("name", ["a:b", "x$y", "acme/" + "p" * 64, ""])
def test_names_that_no_certificate_can_hold_are_refused(tmp_path: Path, name: str) -> None:
    """One clear line, before openssl is asked."""
    with pytest.raises(Misconfigured, match=r"user name|cannot be the name"):
        make_device(tmp_path, name)


def test_shipped_tls_listener_works(folder: Path, tmp_path: Path) -> None:
    """Its lines without the comment sign are a working TLS listener under the same rules."""
    program = required(find_program(), package="mosquitto")
    shutil.copy(SHIPPED / "acl", tmp_path)
    (tmp_path / "accounts").write_text(
        render_password_file([Account(DEVICE, hash_password("geheim"))])
    )
    port = unused_port()
    conf = (
        (SHIPPED / "mosquitto.conf")
        .read_text()
        .replace("listener 1883", f"listener {unused_port()}")
    )
    for line in ("use_username_as_clientid", "max_connections", "cafile", "certfile", "keyfile"):
        conf = conf.replace(f"#{line}", line)
    conf = conf.replace("#listener 8883", f"listener {port}").replace("#tls_version", "tls_version")
    as_root = "user root\n" if os.geteuid() == 0 else ""
    (tmp_path / "mosquitto.conf").write_text(conf + as_root)

    with subprocess.Popen([program, "-c", "mosquitto.conf"], cwd=tmp_path) as process:
        try:
            wait_for_port(port, timeout_s=10)
            with Client(port, DEVICE, "geheim", ca=str(folder / "ca.crt")) as device:
                device.publish(f"t/{DEVICE}/telemetry", b"{}")
            stranger = ssl.create_default_context()
            with (
                socket.create_connection(("127.0.0.1", port)) as connection,
                pytest.raises(ssl.SSLCertVerificationError),
            ):
                stranger.wrap_socket(connection, server_hostname="localhost")
        finally:
            process.terminate()
