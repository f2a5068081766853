"""Writing through InfluxDB's v2 API with its own client: for 2.x and 3.

The client's retries are off, and so is its batching, which keeps lines in memory and drops them
after some failures: ours are durable elsewhere until they are stored here.
"""

import ssl
from collections.abc import Mapping

import urllib3.exceptions
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from cloud.timeseries.port import StoreAway
from cloud.timeseries.servers.address import Address
from cloud.timeseries.servers.answers import Answer, seconds_of
from cloud.timeseries.servers.http import CONNECT_TIMEOUT_S, Cut


class Bucket:
    """A bucket to write lines to. Its calls block: for a thread, one at a time."""

    def __init__(self, address: Address, *, timeout_s: float) -> None:
        self._address = address
        connect_s = min(CONNECT_TIMEOUT_S, timeout_s)
        self._client = InfluxDBClient(
            address.http_url,
            _token(address),
            org=address.org,
            timeout=(connect_s * 1_000, timeout_s * 1_000),
            retries=False,
            ssl_context=ssl.create_default_context(),
        )
        self._write = self._client.write_api(write_options=SYNCHRONOUS)

    def post(self, body: bytes) -> Answer:
        """Send lines.

        Raises:
            Cut: the connection broke; they may be stored or not.
            StoreAway: the server cannot be reached, or did not answer in time.
        """
        name = self._address.name
        try:
            self._write.write(
                self._address.database,
                record=body,
                write_precision=WritePrecision.NS,
            )
        except ApiException as exc:
            if not exc.status:
                raise StoreAway(f"{name} cannot be reached: {exc.reason}") from exc
            return _answer(exc)
        except (
            urllib3.exceptions.NewConnectionError,
            urllib3.exceptions.ConnectTimeoutError,
        ) as exc:
            raise StoreAway(f"{name} cannot be reached") from exc
        except urllib3.exceptions.TimeoutError as exc:
            raise StoreAway(f"{name} does not answer in time") from exc
        except urllib3.exceptions.HTTPError as exc:
            raise Cut(f"the connection to {name} broke off") from exc
        return Answer(204, b"")

    def close(self) -> None:
        """Close the connections."""
        self._write.close()
        self._client.close()


def _token(address: Address) -> str:
    """Return the token; a user and a password are one, too, where 1.x clients are served."""
    password = address.password.reveal() if address.password is not None else ""
    return password if address.user is None else f"{address.user}:{password}"


def _answer(exc: ApiException) -> Answer:
    headers: Mapping[str, str] = exc.headers or {}
    body = exc.body or ""
    raw = body if isinstance(body, bytes) else str(body).encode()
    return Answer(int(exc.status), raw, None, seconds_of(headers.get("Retry-After")))
