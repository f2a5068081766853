"""Taking line protocol as InfluxDB does: good lines are stored, whatever the others are."""

from typing import Any

from cloud.ingest.http.bodies import plain_body
from cloud.ingest.http.callers import device_of
from cloud.ingest.http.gateway import Gateway
from cloud.ingest.http.influx_answers import written
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.codecs.line.protocol import CONTENT_TYPES, PRECISIONS
from wire.errors import Malformed


async def take_lines(req: Request, gateway: Gateway) -> dict[str, Any]:
    """Store the lines of a request; answer 204 once they are durable.

    Raises:
        HTTPError: 400, lines were refused (the others are stored), or nothing can be read; else
            as `device_of`, `plain_body` and `Gateway.accept` say.
    """
    precision = req.query_params.get("precision") or "ns"
    if precision not in PRECISIONS:
        raise HTTPError(400, f"precision can be {', '.join(PRECISIONS)}")
    device = device_of(req.user, req.query_params)
    payload = plain_body(req.raw_body, req.headers)
    kind = f"{CONTENT_TYPES[0]};precision={precision}"
    try:
        return written(await gateway.accept(device, payload, content_type=kind))
    except Malformed as exc:
        raise HTTPError(400, f"unable to parse: {exc}") from exc
