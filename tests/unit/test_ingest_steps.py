"""Ingestion's api steps: who may write as whom, and how letters are shown."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cloud.ingest.http.answers import Accepted, Replayed
from cloud.ingest.http.gateway import Gateway
from cloud.ingest.http.replaying import Replaying
from cloud.ingest.ledger.accounts import Letter
from cloud.ingest.ledger.ledger import Ledger
from cloud.ingest.steps import (
    list_dead_letters_step,
    post_telemetry_step,
    replay_dead_letter_step,
    replay_dead_letters_step,
)
from tests.support.fake_context import FakeContext
from tidegate.engine.schemas import Checker, InvalidData
from tidegate.errors import HTTPError
from tidegate.http.query import QueryConverter
from tidegate.http.request import Request
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id
from wire.messages import Refusal

pytestmark = pytest.mark.anyio

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
_AS_PUMP = {"userId": "acme/pump", "roles": ["device"], "tenant": "acme", "device": "pump"}
_AS_ADMIN = {"userId": "admin", "roles": ["admin"]}


class _Gateway:
    """Accepts everything but `junk`, and remembers from whom."""

    def __init__(self) -> None:
        self.devices: list[DeviceKey] = []

    async def accept(
        self,
        device: DeviceKey,
        payload: bytes,
        *,
        content_type: str | None = None,
        key: str | None = None,
    ) -> Accepted:
        if payload == b"junk":
            raise Malformed("not valid")
        self.devices.append(device)
        return Accepted(1, [Refusal(1, "no")])


def _request(user: dict[str, Any], body: bytes = b"{}", **query: str) -> Request:
    return Request(user=user, raw_body=body, headers={}, query_params=query, path_params={})


async def _post(request: Request, gateway: _Gateway) -> dict[str, Any]:
    return await post_telemetry_step.handler(
        request, FakeContext(), gateway=cast("Gateway", gateway)
    )


async def test_post_telemetry_answers_what_became_of_it() -> None:
    """202 with the number accepted and the refusals, by index."""
    gateway = _Gateway()

    answer = await _post(_request(_AS_PUMP), gateway)

    assert answer["status"] == 202
    assert answer["body"] == {"accepted": 1, "rejected": [{"index": 1, "reason": "no"}]}
    assert gateway.devices == [_PUMP]


async def test_post_telemetry_administrator_names_the_device() -> None:
    """The administrator's token belongs to no device: it must say which."""
    gateway = _Gateway()

    await _post(_request(_AS_ADMIN, tenant="acme", device="pump"), gateway)

    assert gateway.devices == [_PUMP]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (_request(_AS_PUMP, device="fan"), 403),
        (_request(_AS_PUMP, tenant="other"), 403),
        (_request(_AS_ADMIN), 400),
        (_request(_AS_ADMIN, tenant="a/b", device="pump"), 400),
        (_request(_AS_PUMP, b"junk"), 400),
    ],
)
async def test_post_telemetry_refuses(request_: Request, status: int) -> None:
    """Another's name, no name, a name that cannot be, and a payload that cannot be read."""
    gateway = _Gateway()

    with pytest.raises(HTTPError) as refused:
        await _post(request_, gateway)

    assert refused.value.status == status
    assert gateway.devices == []


def _letter(number: int, payload: bytes = b"junk") -> Letter:
    return Letter(number, _PUMP, "t/acme/pump/telemetry", "bad", payload, 1, 5)


class _Ledger:
    """Holds letters."""

    letters_dropped = 7

    def __init__(self, letters: Sequence[Letter]) -> None:
        self._letters = letters

    async def dead_letters(
        self,
        _tenant: str | None,
        _device: str | None,
        *,
        limit: int,
        before: int | None,
        reason: str | None,
    ) -> list[Letter]:
        found = [one for one in self._letters if before is None or one.id < before]
        return [one for one in found if (reason or "") in one.reason][:limit]


async def test_dead_letters_come_in_pages() -> None:
    """The cursor leads from page to page, and is null on the last one."""
    ledger = cast("Ledger", _Ledger([_letter(number) for number in (5, 4, 3)]))
    request = Request(query_params={"limit": 2})

    first = await list_dead_letters_step.handler(request, FakeContext(), ledger=ledger)
    request.query_params["cursor"] = int(first["body"]["next_cursor"])
    second = await list_dead_letters_step.handler(request, FakeContext(), ledger=ledger)

    assert [one["id"] for one in first["body"]["dead_letters"]] == [5, 4]
    assert [one["id"] for one in second["body"]["dead_letters"]] == [3]
    assert second["body"]["next_cursor"] is None


async def test_dead_letter_shows_text_or_base64() -> None:
    """Bytes that are no text are shown in base64, under another name."""
    ledger = cast("Ledger", _Ledger([_letter(2), _letter(1, b"\xff")]))

    answer = await list_dead_letters_step.handler(
        Request(query_params={}), FakeContext(), ledger=ledger
    )

    text, data = answer["body"]["dead_letters"]
    assert (text["payload"], "payload_base64" in text) == ("junk", False)
    assert (data["payload_base64"], "payload" in data) == ("/w==", False)


@pytest.mark.parametrize("cursor", ["9" * 19, "9" * 30, "0", "x"])
def test_dead_letters_cursor_is_bounded(cursor: str) -> None:
    """What is no id of a letter, or has more than 64 bits, is the caller's fault."""
    converter = QueryConverter(list_dead_letters_step.config["queryParams"])

    with pytest.raises(InvalidData):
        converter.convert({"cursor": cursor})


async def test_dead_letters_are_narrowed_by_reason() -> None:
    """Only those whose reason contains the text; how many had to make room is told."""
    ledger = cast("Ledger", _Ledger([_letter(2), _letter(1)]))

    found = [
        await list_dead_letters_step.handler(
            Request(query_params={"reason": reason}), FakeContext(), ledger=ledger
        )
        for reason in ("bad", "good")
    ]

    assert [len(one["body"]["dead_letters"]) for one in found] == [2, 0]
    assert found[0]["body"]["dropped"] == 7


async def test_replay_of_many_hands_over_what_is_asked() -> None:
    """The bound has a default; the answer is what replaying says."""
    asked: list[dict[str, Any]] = []

    async def replay_letters(**wanted: Any) -> Replayed:
        asked.append(wanted)
        return Replayed(3, 2, 1, 0, 9, "17")

    replaying = cast("Replaying", SimpleNamespace(replay_letters=replay_letters))

    answer = await replay_dead_letters_step.handler(
        Request(body={"reason": "old", "cursor": 40}), FakeContext(), replaying=replaying
    )

    names = {"tenant": None, "device": None, "reason": "old", "limit": 200, "before": 40}
    assert asked == [names]
    assert answer["body"]["next_cursor"] == "17"
    assert (answer["body"]["letters"], answer["body"]["left"]) == (3, 9)


@pytest.mark.parametrize("body", [{"limit": 1001}, {"limit": 0}, {"all": True}, {"reason": ""}])
def test_replay_of_many_is_bounded(body: dict[str, object]) -> None:
    """More than a request may take, and what is not known, is the caller's fault."""
    with pytest.raises(InvalidData):
        Checker(replay_dead_letters_step.config["bodySchema"]).check(body)


async def test_replay_hands_the_id_over() -> None:
    """Replaying owns all of it; the step answers what was accepted."""

    async def replay_letter(letter_id: str) -> Accepted:
        return Accepted(int(letter_id), [Refusal(2, "no")])

    replaying = cast("Replaying", SimpleNamespace(replay_letter=replay_letter))

    answer = await replay_dead_letter_step.handler(
        Request(path_params={"id": "3"}), FakeContext(), replaying=replaying
    )

    assert answer["body"] == {"accepted": 3, "rejected": [{"index": 2, "reason": "no"}]}
