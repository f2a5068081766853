"""Calls as the administrator: of a running instance, or of an app in this process."""

from typing import Any

import httpx
from starlette.applications import Starlette

from tidegate.errors import HTTPError, Misconfigured

_TIMEOUT_S = 30.0

Client = httpx.AsyncClient


def in_process(app: Starlette, token: str) -> Client:
    """Return a client of an app without a socket; what a handler raises is answered as 500."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return Client(transport=transport, base_url="http://testserver", headers=_bearer(token))


def ask(address: str, token: str, method: str, path: str, *, body: object = None) -> Any:
    """Call a running instance and return its answer, decoded.

    Raises:
        HTTPError: it refuses; with its status and detail.
        Misconfigured: it does not answer within 30 s.
    """
    try:
        # A proxy of the environment must not stand between us and this machine.
        with httpx.Client(
            base_url=address, headers=_bearer(token), timeout=_TIMEOUT_S, trust_env=False
        ) as client:
            answer = client.request(method, path, json=body)
    except httpx.HTTPError as exc:
        raise Misconfigured(f"the instance at {address} does not answer: {exc}") from exc
    if answer.is_error:
        raise HTTPError(answer.status_code, _detail(answer))
    return answer.json()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _detail(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
    except ValueError:
        return answer.text
    return str(problem.get("detail") or problem.get("title") or answer.text)
