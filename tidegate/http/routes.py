"""The api steps as one route: a table of their paths in front of whatever else an app serves."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from tidegate.engine.engine import Engine
from tidegate.http.answer import Answer
from tidegate.http.dispatch import Dispatch, PathParams, Place, names_of, shape_of
from tidegate.http.endpoint import Endpoint
from tidegate.http.limits import STANDARD, Limits
from tidegate.http.middleware import Middleware
from tidegate.http.problem import refusal
from tidegate.http.socket_endpoint import SocketEndpoint, refuse_handshake

_NO_PARAMS: PathParams = {}


class Served(Protocol):
    """Who serves what comes in at one path."""

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, path_params: PathParams, /
    ) -> None:
        """Serve one request or connection."""
        ...


StepPlace = Place[Served, Served]


def routes(
    engine: Engine,
    middleware: Mapping[str, Middleware],
    *,
    check_answers: bool = False,
    limits: Limits = STANDARD,
) -> list[BaseRoute]:
    """Return the route of all api steps; exact paths come before those with parameters.

    Args:
        engine: with the steps.
        middleware: by the names that steps use.
        check_answers: whether an answer that does not fit its step's `responseSchema` is a 500
            that says where: for development and tests.
        limits: of bodies, answers and WebSockets; those of heads and connections are the server's.

    Raises:
        Misconfigured: a step names a middleware that nobody provides.
    """
    steps = [step for step in engine.steps.values() if step.config.type == "api"]
    places: dict[str, StepPlace] = {}
    for step in steps:
        path = step.config.path
        place = places.setdefault(shape_of(path), Place(path, {}, []))
        if step.config.websocket:
            socket = SocketEndpoint(engine, step, middleware, limits=limits)
            place.websocket.append(_as_named(socket, path, place))
            continue
        endpoint = Endpoint(engine, step, middleware, check_answers=check_answers, limits=limits)
        place.methods[step.config.method.upper()] = _as_named(endpoint, path, place)
    return [StepsRoute(places.values())]


class StepsRoute(BaseRoute):
    """Serves the api steps; what is no step's path is left to the routes after it."""

    def __init__(self, places: Iterable[StepPlace]) -> None:
        self._dispatch = Dispatch(list(places))
        self._before: list[BaseRoute] = []
        self._exact = self._dispatch.exact

    def come_after(self, routes: Sequence[BaseRoute]) -> None:
        """Leave to these routes the paths that they serve."""
        self._before = list(routes)
        self._exact = {
            path: place
            for path, place in self._dispatch.exact.items()
            if not self._is_taken({"type": "http", "method": "GET", "path": path, "headers": []})
        }

    def find(self, scope: Scope) -> tuple[Served, PathParams] | None:
        """Return who serves a request or a connection; None when it is no step's."""
        place = self._exact.get(scope["path"])
        if place is not None:
            return _served_at(place, scope), _NO_PARAMS
        found = self._find(scope)
        if found is None or self._is_taken(scope):
            return None
        return _served_at(found[0], scope), found[1]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell Starlette whether a path is a step's."""
        found = scope["type"] in ("http", "websocket") and self._find(scope)
        return (Match.FULL if found else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that `matches`."""
        found = self._find(scope)
        if found is not None:
            await _served_at(found[0], scope).serve(scope, receive, send, found[1])

    def _find(self, scope: Scope) -> tuple[StepPlace, PathParams] | None:
        return self._dispatch.find(scope["path"], scope.get("raw_path") or b"")

    def _is_taken(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self._before)


class _Renamed(NamedTuple):
    """Stands where a step calls the parameters of a path otherwise than its place does."""

    served: Served
    names: Mapping[str | int, str]

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, path_params: PathParams
    ) -> None:
        """Serve with the step's own names."""
        own = {self.names.get(name, name): text for name, text in path_params.items()}
        await self.served.serve(scope, receive, send, own)


def _as_named(served: Served, path: str, place: StepPlace) -> Served:
    if path == place.path:
        return served
    return _Renamed(served, dict(zip(names_of(place.path), names_of(path), strict=True)))


class _Refused(NamedTuple):
    """Stands where a path has nothing for a method, or no WebSocket."""

    answer: Answer

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, _path_params: PathParams
    ) -> None:
        """Refuse."""
        if scope["type"] == "websocket":
            await receive()
            await refuse_handshake(self.answer, send)
        else:
            await self.answer.send(scope, receive, send)


def _served_at(place: StepPlace, scope: Scope) -> Served:
    if scope["type"] == "websocket":
        if place.websocket:
            return place.websocket[0]
        return _Refused(refusal(404, "this path takes no WebSockets"))
    method = scope["method"]
    return place.find(method) or _Refused(_no_method(place, method))


def _no_method(place: StepPlace, method: str) -> Answer:
    allow = place.allow
    if method == "OPTIONS":
        return Answer(204, [(b"allow", allow.encode())], b"")
    if method == "GET" and place.websocket:
        headers = {"Upgrade": "websocket", "Connection": "upgrade"}
        return refusal(426, "this path takes WebSockets", headers=headers)
    return refusal(405, f"this path knows {allow}", headers={"Allow": allow})
