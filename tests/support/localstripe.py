"""A stand-in for Stripe: localstripe as a process of its own, asked over HTTP what it holds.

localstripe (GPL-3.0-or-later, so a program that tests start and never a library that we import)
is stateful: what was charged is counted there. It keeps no idempotency keys.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker import tether

KEY = "sk_test_12345"
_START_TIMEOUT_S = 20.0
_TIMEOUT_S = 10.0
_CHILD = Path(__file__).with_name("localstripe_child.py")
_LISTENS = re.compile(r"Running on http://\S+:(\d+)")


class Localstripe:
    """The provider: what it was asked for, as it tells itself."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=_TIMEOUT_S,
            trust_env=False,
        )

    def intents(self, order_id: str) -> list[dict[str, Any]]:
        """Return the payments that were opened for an order."""
        return [
            intent
            for intent in self._list("payment_intents")
            if intent["metadata"].get("order_id") == order_id
        ]

    def charges(self, order_id: str) -> list[int]:
        """Return the amounts that were really taken for an order.

        A charge does not name its payment, a payment names its last charge. A charge that none
        names was taken beside them or a second time: nobody's order would count it, so it fails.
        """
        # The charges first: what is charged between the two questions is no stray.
        taken = [charge for charge in self._list("charges") if charge["paid"]]
        intents = self._list("payment_intents")
        strays = {charge["id"] for charge in taken} - _charge_ids(intents)
        assert not strays, f"{sorted(strays)} took money, and are no payment's last charge"
        ids = _charge_ids(self.intents(order_id))
        return [charge["amount"] for charge in taken if charge["id"] in ids]

    def refunds(self, order_id: str) -> list[int]:
        """Return the amounts that went back for an order."""
        ids = _charge_ids(self.intents(order_id))
        return [refund["amount"] for refund in self._list("refunds") if refund["charge"] in ids]

    def new_card(self, card: dict[str, str]) -> str:
        """Make a payment method of a test card; returns its id."""
        data = {"type": "card", **{f"card[{name}]": value for name, value in card.items()}}
        answer = self._client.post("/v1/payment_methods", data=data)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _list(self, what: str) -> list[dict[str, Any]]:
        answer = self._client.get(f"/v1/{what}", params={"limit": 100_000})
        answer.raise_for_status()
        data: list[dict[str, Any]] = answer.json()["data"]
        return data


def _charge_ids(intents: list[dict[str, Any]]) -> set[str]:
    return {intent["latest_charge"]["id"] for intent in intents if intent["latest_charge"]}


@pytest.fixture(scope="session")
def localstripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localstripe]:
    """Run one localstripe for the whole session; orders of different tests have different ids."""
    if find_spec("localstripe") is None:
        reason = "localstripe is not installed: it is among the development dependencies"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with running(tmp_path_factory.mktemp("localstripe")) as provider:
        yield provider


@contextmanager
def running(folder: Path) -> Iterator[Localstripe]:
    """Run a localstripe that keeps its files in `folder`; it dies with this process, too."""
    log = folder / "localstripe.log"
    bound = [sys.executable, tether.__file__, str(os.getpid())]
    # Isolated: else `localstripe` would be this file. Port 0: the system picks a free one.
    child = [sys.executable, "-I", "-u", str(_CHILD), str(folder), "--from-scratch", "--port", "0"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*bound, *child],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        provider = Localstripe(_told_port(process, log))
        yield provider
        provider.close()
    finally:
        process.kill()
        process.wait()


def _told_port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if told := _LISTENS.search(log.read_text(errors="replace")):
            return int(told[1])
        threading.Event().wait(0.02)
    raise RuntimeError(f"localstripe did not start: {log.read_text(errors='replace')[-2000:]}")
