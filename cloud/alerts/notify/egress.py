"""Where webhooks may connect to: resolve once, check every address, connect to a checked one.

A webhook's address is configured by people and resolved by a name server that belongs to
somebody else. Without this guard it reaches the platform's own network (SSRF), and a check
that resolves the name a second time for the connection can be told two different stories
(DNS rebinding).
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

import anyio
import httpx

from cloud.alerts.errors import Rejected, Transient

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_IPV4_COMPATIBLE = ipaddress.ip_network("::/96")
_IPV4_BITS = 0xFFFF_FFFF
_MAX_ADDRESSES = 4


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a host, in its order of preference."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def is_public(text: str) -> bool:
    """Tell whether an address is one of the public internet.

    Loopback, private, link-local, carrier-grade NAT, unique local, multicast and reserved
    addresses are not; nor is an IPv6 address that carries such an IPv4 address inside.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    inner = _ipv4_inside(address)
    if inner is not None:
        return _is_plain_public(inner)
    return _is_plain_public(address)


def _is_plain_public(address: _Address) -> bool:
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not address.is_multicast and not site_local


def _ipv4_inside(address: _Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that packets to a transitional IPv6 address would reach."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64 or address in _IPV4_COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & _IPV4_BITS)
    teredo_client = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo_client


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends a request to a checked address of its host, keeping Host header and TLS name.

    It must not share connections between hosts: the connection is chosen by address, so `inner`
    keeps none alive.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, *, allow_private: bool, resolver: Resolve = resolve
    ) -> None:
        self._inner = inner
        self._allow_private = allow_private
        self._resolve = resolver

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to the first checked address that can be reached.

        Raises:
            Rejected: none of the host's addresses may be connected to.
            Transient: the host has no address now.
        """
        host = request.url.host
        addresses = await self._checked_addresses(request.url)
        for address in addresses[:-1]:
            try:
                return await self._inner.handle_async_request(_pinned(request, host, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._inner.handle_async_request(_pinned(request, host, addresses[-1]))

    async def aclose(self) -> None:
        """Close what lies below."""
        await self._inner.aclose()

    async def _checked_addresses(self, url: httpx.URL) -> list[str]:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await self._resolve(url.host, port)
        except (OSError, UnicodeError) as exc:
            raise Transient(f"{url.host} has no address: {exc}") from exc
        allowed = [address for address in found if self._allow_private or is_public(address)]
        if found and not allowed:
            raise Rejected(
                f"{url.host} is not on the public internet ({found[0]}): "
                "set allow_private = true if this webhook belongs to your own network"
            )
        if not allowed:
            raise Transient(f"{url.host} has no address")
        return allowed[:_MAX_ADDRESSES]


def _pinned(request: httpx.Request, host: str, address: str) -> httpx.Request:
    """Return the request aimed at an address; its Host header was set from the name before."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": host},
    )
