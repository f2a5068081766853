"""Where webhooks may connect to."""

import ipaddress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.alerts.errors import Rejected, Transient
from cloud.alerts.notify.egress import GuardedTransport, Resolve, is_public

pytestmark = pytest.mark.anyio

_PUBLIC = "93.184.215.14"
_PUBLIC_V6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


class _Names:
    """Answers each question for a name with the next list of addresses."""

    def __init__(self, *answers: list[str]) -> None:
        self.asked = 0
        self._answers = answers

    async def resolve(self, _host: str, _port: int) -> list[str]:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return answer


class _Network(httpx.AsyncBaseTransport):
    """Keeps the requests that reached it; addresses in `dead` cannot be connected to."""

    def __init__(self, *dead: str) -> None:
        self.requests: list[httpx.Request] = []
        self._dead = dead

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host in self._dead:
            raise httpx.ConnectError("no route")
        return httpx.Response(200)


async def _send(
    resolver: Resolve, network: _Network, *, url: str = "https://hook.example/x", **options: bool
) -> None:
    allow_private = options.get("allow_private", False)
    transport = GuardedTransport(network, allow_private=allow_private, resolver=resolver)
    await transport.handle_async_request(httpx.Request("POST", url, content=b"{}"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "2002:7f00:1::",
        "2001:0:0:0:0:0:f5ff:fffe",
        "hook.example",
        "",
    ],
)
def test_is_public_refuses_what_lies_inside(address: str) -> None:
    """Nothing of this machine, its networks, or hidden in an IPv6 address is public."""
    assert not is_public(address)


@pytest.mark.parametrize("address", [_PUBLIC, _PUBLIC_V6, "64:ff9b::8.8.8.8", "1.1.1.1"])
def test_is_public_accepts_the_internet(address: str) -> None:
    """What anybody can reach is public."""
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_is_public_sees_through_every_disguise(address: ipaddress.IPv4Address) -> None:
    """An IPv4 address inside an IPv6 address is judged as itself."""
    for prefix in ("::ffff:", "64:ff9b::"):
        assert is_public(f"{prefix}{address}") == is_public(str(address))


async def test_transport_connects_to_the_checked_address_under_the_right_name() -> None:
    """The address is pinned; Host header and TLS name stay the host's."""
    network = _Network()

    await _send(_Names([_PUBLIC]).resolve, network)

    (request,) = network.requests
    assert request.url.host == _PUBLIC
    assert request.headers["host"] == "hook.example"
    assert request.extensions["sni_hostname"] == "hook.example"


async def test_transport_can_pin_an_ipv6_address_and_keeps_the_port() -> None:
    """A v6 address is put into the URL as one."""
    network = _Network()

    await _send(_Names([_PUBLIC_V6]).resolve, network, url="https://hook.example:8443/x?y=1")

    (request,) = network.requests
    assert str(request.url) == f"https://[{_PUBLIC_V6}]:8443/x?y=1"
    assert request.headers["host"] == "hook.example:8443"


async def test_transport_refuses_a_private_address() -> None:
    """Without allow_private nothing is connected to, and the refusal says what to set."""
    network = _Network()

    with pytest.raises(Rejected, match="allow_private"):
        await _send(_Names(["10.0.0.7"]).resolve, network)

    assert network.requests == []


async def test_transport_never_asks_twice() -> None:
    """A name that resolves to something public for the check and private after it is no way in."""
    names, network = _Names([_PUBLIC], ["127.0.0.1"]), _Network()

    await _send(names.resolve, network)
    with pytest.raises(Rejected):
        await _send(names.resolve, network)

    assert names.asked == 2
    assert [request.url.host for request in network.requests] == [_PUBLIC]


async def test_transport_skips_private_addresses_among_public_ones() -> None:
    """Of a mixed answer only what is public is tried, also when that fails."""
    network = _Network(_PUBLIC)

    with pytest.raises(httpx.ConnectError):
        await _send(_Names(["127.0.0.1", _PUBLIC, "::1"]).resolve, network)

    assert [request.url.host for request in network.requests] == [_PUBLIC]


async def test_transport_tries_the_next_address() -> None:
    """A host that cannot be reached by its first address is reached by its second."""
    network = _Network(_PUBLIC_V6)

    await _send(_Names([_PUBLIC_V6, _PUBLIC]).resolve, network)

    assert [request.url.host for request in network.requests] == [_PUBLIC_V6, _PUBLIC]


async def test_transport_allows_private_addresses_where_they_are_wanted() -> None:
    """allow_private is for webhooks of one's own network."""
    network = _Network()

    await _send(_Names(["127.0.0.1"]).resolve, network, allow_private=True)

    assert [request.url.host for request in network.requests] == ["127.0.0.1"]


@pytest.mark.parametrize("answer", [[], OSError("name server away")])
async def test_transport_tries_again_later_when_there_is_no_address(
    answer: list[str] | OSError,
) -> None:
    """A name server that is away comes back."""

    async def resolver(_host: str, _port: int) -> list[str]:
        if isinstance(answer, OSError):
            raise answer
        return answer

    with pytest.raises(Transient, match=r"hook\.example has no address"):
        await _send(resolver, _Network())
