"""Send large bodies to a server from a thread: on one blocking connection that stays open.

An asynchronous client takes as much of the processor for a body as writing it as lines does.
"""

import base64
import contextlib
import http.client
import ssl
from urllib.parse import urlencode

from cloud.timeseries.port import StoreAway
from cloud.timeseries.servers.address import SCHEMES, Address
from cloud.timeseries.servers.answers import Answer, seconds_of
from cloud.timeseries.servers.http import CONNECT_TIMEOUT_S, Cut

# More of an answer is not looked at: it is a word or two about what went wrong.
_MOST_BYTES = 64 * 1024


class Posting:
    """One connection to send on. Its calls block: for a thread, one at a time."""

    def __init__(
        self, address: Address, path: str, params: dict[str, str], *, timeout_s: float
    ) -> None:
        self._address = address
        self._path = f"{path}?{urlencode(params)}" if params else path
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "text/plain"} | _account(address)
        is_safe, _ = SCHEMES[address.scheme]
        # The system's certificates; `SSL_CERT_FILE` names others.
        self._tls = ssl.create_default_context() if is_safe else None
        self._connection: http.client.HTTPConnection | None = None
        # How often it was connected: a server that died and came back is told by that.
        self.connections = 0

    def post(self, body: bytes) -> Answer:
        """Send a body that may be sent twice: when an idle connection was closed, it is.

        Raises:
            Cut: the connection broke; it may have been taken or not.
            StoreAway: the server cannot be reached, or did not answer in time.
        """
        was_open = self._connection is not None
        try:
            return self._post(body)
        except Cut:
            if not was_open:
                raise
            return self._post(body)

    def close(self) -> None:
        """Close the connection; the next body opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _post(self, body: bytes) -> Answer:
        name = self._address.name
        connection = self._connection or self._connected()
        self._connection = connection
        try:
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
            answer = Answer(
                response.status,
                response.read(_MOST_BYTES),
                response.headers.get("X-Influxdb-Version"),
                seconds_of(response.headers.get("Retry-After")),
            )
        except TimeoutError as exc:
            self.close()
            raise StoreAway(f"{name} does not answer in time") from exc
        except (OSError, http.client.HTTPException) as exc:
            self.close()
            raise Cut(f"the connection to {name} broke off") from exc
        if response.will_close or not response.isclosed():
            self.close()
        return answer

    def _connected(self) -> http.client.HTTPConnection:
        address = self._address
        connect_s = min(CONNECT_TIMEOUT_S, self._timeout_s)
        if self._tls is not None:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                address.host, address.port, timeout=connect_s, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(address.host, address.port, timeout=connect_s)
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as exc:
            with contextlib.suppress(OSError):
                connection.close()
            raise StoreAway(f"{address.name} cannot be reached: {exc}") from exc
        self.connections += 1
        connection.sock.settimeout(self._timeout_s)
        return connection


def _account(address: Address) -> dict[str, str]:
    password = address.password.reveal() if address.password is not None else ""
    if address.user is not None:
        basic = base64.b64encode(f"{address.user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {basic}"}
    return {"Authorization": f"Token {password}"} if password else {}
