"""Webhooks after Standard Webhooks 1.0, over httpx."""

import base64
import functools
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

import anyio
import httpx
import msgspec
from standardwebhooks import Webhook as Signer
from standardwebhooks.webhooks import EmptyWebhookSecretError

from cloud.alerts.errors import Rejected, Transient
from cloud.alerts.notify.egress import GuardedTransport, Resolve, resolve
from cloud.settings import Webhook
from tidegate.errors import Misconfigured
from wire.events import AlertNotice

_MAX_ANSWER_BYTES = 64 * 1024
_MAX_RETRY_AFTER_S = 24 * 3600.0
_SUCCESS = range(200, 300)
_REDIRECT = range(300, 400)
_GONE = 410
_BUSY = frozenset({429, 503})


class WebhookNotifier:
    """Posts notices to one URL, signed when a secret is set.

    Only 2xx is success. Redirects are not followed, so nobody can send the signed body on to
    another place. Everything but 410 (Gone) may heal and is worth another attempt.
    """

    def __init__(self, webhook: Webhook, *, resolver: Resolve = resolve) -> None:
        self._webhook = webhook
        self._resolver = resolver

    async def send(self, notice: AlertNotice, *, message_id: str, now: datetime) -> None:
        """Post the notice."""
        request = self._request(notice, message_id, now)
        where = redacted(self._webhook.url)
        try:
            with anyio.fail_after(self._webhook.timeout_s):
                status, headers = await self._post(request)
        except (TimeoutError, httpx.TimeoutException) as exc:
            limit = f"{self._webhook.timeout_s:g} s"
            raise Transient(f"{where} did not answer within {limit}") from exc
        except httpx.TransportError as exc:
            raise Transient(f"{where} cannot be reached: {exc}") from exc
        _judge(where, status, headers.get("retry-after"), now)

    def _request(self, notice: AlertNotice, message_id: str, now: datetime) -> httpx.Request:
        url = httpx.URL(self._webhook.url)
        if url.scheme != "https" and not self._webhook.allow_private:
            raise Rejected(
                f"{redacted(self._webhook.url)} is not encrypted: use https, "
                "or set allow_private = true if it belongs to your own network"
            )
        body = body_of(notice)
        headers = {"content-type": "application/json", "user-agent": "Tidegate"}
        headers |= self._standard_headers(body, message_id, now) | _basic_auth(url)
        timeout = httpx.Timeout(self._webhook.timeout_s).as_dict()
        return httpx.Request(
            "POST", url, content=body, headers=headers, extensions={"timeout": timeout}
        )

    def _standard_headers(self, body: bytes, message_id: str, now: datetime) -> dict[str, str]:
        headers = {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp()))}
        if self._webhook.secret is not None:
            signer = Signer(self._webhook.secret.reveal())
            headers["webhook-signature"] = signer.sign(message_id, now, body.decode())
        return headers

    async def _post(self, request: httpx.Request) -> tuple[int, httpx.Headers]:
        """Send and return status and headers; at most 64 KiB of the answer are read.

        The transport is used without a client: a client logs the whole URL, in which many
        services carry their token.
        """
        unshared = httpx.Limits(max_connections=1, max_keepalive_connections=0)
        inner = httpx.AsyncHTTPTransport(verify=_tls(), trust_env=False, limits=unshared)
        allow_private = self._webhook.allow_private
        async with GuardedTransport(
            inner, allow_private=allow_private, resolver=self._resolver
        ) as transport:
            response = await transport.handle_async_request(request)
            await _read_at_most(response, _MAX_ANSWER_BYTES)
            return response.status_code, response.headers


def check_webhook(webhook: Webhook) -> None:
    """Check URL and secret of a webhook without contacting it.

    Raises:
        Misconfigured: one of them cannot be used.
    """
    try:
        url = httpx.URL(webhook.url)
    except (httpx.InvalidURL, ValueError) as exc:
        raise Misconfigured(f"alerts.webhooks: a url cannot be read: {exc}") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise Misconfigured(f"alerts.webhooks: '{redacted(webhook.url)}' is no http(s) URL")
    if webhook.secret is None:
        return
    try:
        Signer(webhook.secret.reveal())
    except (ValueError, EmptyWebhookSecretError) as exc:
        raise Misconfigured(
            f"alerts.webhooks: the secret of {redacted(webhook.url)} is not base64; make one "
            "with: echo whsec_$(openssl rand -base64 32)"
        ) from exc


def body_of(notice: AlertNotice) -> bytes:
    """Return the exact bytes that are signed and sent; the same notice is the same bytes."""
    fired = notice.status == "firing"
    at_ms = notice.started_at_ms if fired or notice.ended_at_ms is None else notice.ended_at_ms
    return msgspec.json.encode(
        {
            "type": "alert.fired" if fired else "alert.resolved",
            "timestamp": datetime.fromtimestamp(at_ms / 1000, UTC),
            "data": notice,
        }
    )


def redacted(url: str) -> str:
    """Return scheme, host and port of a URL; user, path and query may be secrets."""
    parsed = httpx.URL(url)
    port = f":{parsed.port}" if parsed.port else ""
    hidden = "/…" if parsed.raw_path not in (b"", b"/") else "/"
    return f"{parsed.scheme}://{parsed.host}{port}{hidden}"


def _judge(where: str, status: int, retry_after: str | None, now: datetime) -> None:
    if status in _SUCCESS:
        return
    if status == _GONE:
        raise Rejected(f"{where} answered 410 (Gone): it wants no more; remove the webhook")
    if status in _REDIRECT:
        raise Transient(f"{where} answered {status}: redirects are not followed, set the final URL")
    wait_s = _seconds(retry_after, now) if status in _BUSY else None
    raise Transient(f"{where} answered {status}", wait_s)


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """Return what a Retry-After header asks for: seconds, or a date; None when it is neither."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return min(float(retry_after), _MAX_RETRY_AFTER_S)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), _MAX_RETRY_AFTER_S)


def _basic_auth(url: httpx.URL) -> dict[str, str]:
    if not url.userinfo:
        return {}
    pair = unquote(url.userinfo.decode()).encode()
    return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


async def _read_at_most(response: httpx.Response, limit_bytes: int) -> None:
    size = 0
    try:
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > limit_bytes:
                return
    finally:
        await response.aclose()


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return the trust store; reading it takes longer than a delivery."""
    return httpx.create_ssl_context(trust_env=False)
