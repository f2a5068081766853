"""A small certificate authority for the TLS listener, by the `openssl` command.

    python -m broker.certificates --folder certificates --host broker.example --device acme/pump-1

makes what is missing in the folder and overwrites nothing: `ca.crt` for the clients, `ca.key` to
keep away from the broker's machine, `server.crt` and `server.key` for the broker, and a
certificate for each device that shall show one beside its password.
"""

import argparse
import ipaddress
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from broker.accounts import check_username
from tidegate.errors import Misconfigured
from wire.errors import Malformed

CA_DAYS = 3650
LEAF_DAYS = 825
_MAX_COMMON_NAME = 64
_OPENSSL_TIMEOUT_S = 30.0
# What OpenSSL's configuration files would read as something else.
_SPECIAL = frozenset("$\\#\"'`;=,")
_CONFIG = """
[req]
prompt = no
distinguished_name = name
string_mask = utf8only
utf8 = yes
[name]
CN = {common_name}
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = {usage}
{alternative_names}
"""


def make_authority(folder: Path) -> Path:
    """Make `ca.key` and `ca.crt` unless they are there; return the certificate.

    Raises:
        Misconfigured: openssl is not installed or fails; also of the functions below.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate = folder / "ca.crt"
    if not certificate.exists():
        with _config("Tidegate device CA") as config:
            _openssl(
                *("req", "-x509", "-days", str(CA_DAYS), "-extensions", "ca"),
                *("-config", config.name, *_new_key(folder / "ca.key"), "-out", certificate),
            )
    return certificate


def make_server(folder: Path, hosts: Sequence[str]) -> Path:
    """Make `server.key` and `server.crt` for the names and addresses unless they are there."""
    for host in hosts:
        _check(host)
    names = "subjectAltName = " + ", ".join(_alternative_name(host) for host in hosts)
    return _make_leaf(folder, "server", hosts[0], usage="serverAuth", alternative_names=names)


def make_device(folder: Path, username: str) -> Path:
    """Make key and certificate of a device, whose common name is its user name."""
    try:
        check_username(username)
    except Malformed as exc:
        raise Misconfigured(f"{username!r}: {exc}") from exc
    _check(username)
    return _make_leaf(folder, username.replace("/", "--"), username, usage="clientAuth")


def _make_leaf(
    folder: Path, stem: str, common_name: str, *, usage: str, alternative_names: str = ""
) -> Path:
    authority = make_authority(folder)
    certificate = folder / f"{stem}.crt"
    if certificate.exists():
        return certificate
    request = folder / f"{stem}.csr"
    with _config(common_name, usage=usage, alternative_names=alternative_names) as config:
        key = _new_key(folder / f"{stem}.key")
        _openssl("req", "-new", "-config", config.name, *key, "-out", request)
        _openssl(
            *("x509", "-req", "-in", request, "-out", certificate, "-days", str(LEAF_DAYS)),
            *("-CA", authority, "-CAkey", folder / "ca.key", "-CAcreateserial"),
            *("-extfile", config.name, "-extensions", "leaf"),
        )
    request.unlink()
    return certificate


def _new_key(path: Path) -> list[str | Path]:
    if path.exists():
        return ["-key", path]
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path]


def _config(
    common_name: str, *, usage: str = "serverAuth", alternative_names: str = ""
) -> "tempfile._TemporaryFileWrapper[str]":
    file = tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".cnf")  # noqa: SIM115
    file.write(
        _CONFIG.format(common_name=common_name, usage=usage, alternative_names=alternative_names)
    )
    file.flush()
    return file


def _openssl(*arguments: str | Path) -> None:
    try:
        subprocess.run(  # noqa: S603 - no shell, and names were checked
            ["openssl", *map(str, arguments)],  # noqa: S607 - openssl is where PATH says
            capture_output=True,
            check=True,
            text=True,
            timeout=_OPENSSL_TIMEOUT_S,
            umask=0o077,
        )
    except FileNotFoundError as exc:
        raise Misconfigured("openssl is not installed: install the package openssl") from exc
    except subprocess.CalledProcessError as exc:
        raise Misconfigured(f"openssl {arguments[0]} failed: {exc.stderr.strip()}") from exc


def _check(name: str) -> None:
    if not name or len(name) > _MAX_COMMON_NAME or not _SPECIAL.isdisjoint(name):
        raise Misconfigured(
            f"{name!r} cannot be the name of a certificate: 1 to {_MAX_COMMON_NAME} characters, "
            f"none of {''.join(sorted(_SPECIAL))}"
        )


def _alternative_name(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m broker.certificates")
    parser.add_argument("--folder", type=Path, default=Path("certificates"))
    parser.add_argument("--host", action="append", default=[], help="name or address of the broker")
    parser.add_argument("--device", action="append", default=[], help="user name: tenant/device")
    options = parser.parse_args(arguments)
    try:
        made = [make_authority(options.folder)]
        if options.host:
            made.append(make_server(options.folder, options.host))
        made += [make_device(options.folder, device) for device in options.device]
    except (Misconfigured, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stdout.writelines(f"{path}\n" for path in made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
