"""Where the pages' own styles, scripts and vendored files are served from."""

from pathlib import Path

from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent / "static"


class _GuardedFiles(StaticFiles):
    """Static files that a browser takes for nothing but what they are, checked on each use."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-cache"
        return response


def static_mount() -> Mount:
    """Return the route that the HTTP server adds beside the steps: `/static`."""
    return Mount("/static", _GuardedFiles(directory=STATIC), name="static")
