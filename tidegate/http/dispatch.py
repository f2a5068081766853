"""Which api step a path and a method belong to. Pure.

Paths without parameters are looked up; the others are tried in order, those with fewer
parameters in front first.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import unquote

PathParams = Mapping[str | int, str]
_NONE: PathParams = {}
# Stands for an encoded slash while a path is matched; no decoded text holds half a surrogate.
_SLASH = "\udc2f"
_PARAMETER = re.compile(r":[A-Za-z_]\w*")

T = TypeVar("T")
W = TypeVar("W")


class Place(NamedTuple, Generic[T, W]):
    """What one path holds: endpoints by method, and the one that takes WebSockets."""

    path: str
    methods: dict[str, T]
    websocket: list[W]

    @property
    def allow(self) -> str:
        """The methods as `Allow` names them."""
        more = {"HEAD"} if "GET" in self.methods else {"GET"} if self.websocket else set()
        return ", ".join(sorted({*self.methods, *more}))

    def find(self, method: str) -> T | None:
        """Return the endpoint of a method; what answers GET answers HEAD."""
        found = self.methods.get(method)
        return self.methods.get("GET") if found is None and method == "HEAD" else found


class Dispatch(Generic[T, W]):
    """The places of all paths."""

    def __init__(self, places: Iterable[Place[T, W]]) -> None:
        self.exact = {p.path: p for p in places if not _has_parameters(p.path)}
        parametrised = [p for p in places if _has_parameters(p.path)]
        self._patterns = [(_pattern(p.path), p) for p in sorted(parametrised, key=_order)]

    def find(self, path: str, raw_path: bytes = b"") -> tuple[Place[T, W], PathParams] | None:
        """Return the place of a path and the path's parameters, decoded.

        `raw_path` is the path as it was sent: a `%2F` in it belongs to a parameter.
        """
        place = self.exact.get(path)
        if place is not None:
            return place, _NONE
        if b"%2f" in raw_path.lower():
            path = "/".join(
                unquote(part).replace("/", _SLASH) for part in raw_path.decode("latin-1").split("/")
            )
        for pattern, candidate in self._patterns:
            if match := pattern.fullmatch(path):
                return candidate, _parameters(match.groupdict())
        return None


def shape_of(path: str) -> str:
    """Return a path without the names of its parameters: paths of one shape are one place."""
    return _PARAMETER.sub(":", path)


def names_of(path: str) -> list[str]:
    """Return the names of a path's parameters, in order."""
    return [name[1:] for name in _PARAMETER.findall(path)]


def _parameters(groups: Mapping[str, str]) -> PathParams:
    params: dict[str | int, str] = {}
    for name, value in groups.items():
        text = value.replace(_SLASH, "/")
        if name == "splat__":
            params[0] = params["0"] = text
        else:
            params[name] = text
    return params


def _has_parameters(path: str) -> bool:
    return ":" in path or path.endswith("*")


def _pattern(path: str) -> re.Pattern[str]:
    """Turn `/cart/:id/*` into a pattern: a parameter is one segment, the splat is the rest."""
    parts = re.split(r"(:[A-Za-z_]\w*|\*$)", path)
    return re.compile("".join(_part(part) for part in parts), re.DOTALL)


def _part(part: str) -> str:
    if re.fullmatch(r":[A-Za-z_]\w*", part):
        return f"(?P<{part[1:]}>[^/]+)"
    return "(?P<splat__>.*)" if part == "*" else re.escape(part)


def _order(place: Place[T, W]) -> list[tuple[bool, str]]:
    return [(part.startswith((":", "*")), part) for part in place.path.split("/")]
