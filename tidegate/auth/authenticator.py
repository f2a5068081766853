"""Find out who is calling: by the form of a bearer token, or by a session's cookie."""

import hmac
from collections.abc import Callable, Mapping

from tidegate.auth import key_format
from tidegate.auth.access import Access
from tidegate.auth.bearer import bearer_of
from tidegate.auth.caller import ADMIN, DEVICE, Record, make_caller
from tidegate.auth.origin import same_origin
from tidegate.auth.refusals import Refused, count_refusal
from tidegate.auth.session import COOKIE
from tidegate.auth.signing import looks_like_jwt
from tidegate.auth.users import Users
from tidegate.errors import HTTPError
from tidegate.http.request import Request

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

DeviceOfToken = Callable[[str], Mapping[str, str] | None]


class Authenticator:
    """Knows the administrator's token, devices' tokens, API keys, access tokens and sessions.

    `device_of_token` returns `{"tenant", "device"}` of a device's token, or None; `public_url` is
    what browsers call us by behind a proxy. Without `access` it knows tokens and keys of its own,
    which nothing else gives out.
    """

    def __init__(
        self,
        users: Users,
        *,
        admin_token: str,
        device_of_token: DeviceOfToken,
        public_url: str | None = None,
        access: Access | None = None,
    ) -> None:
        self._access = access or Access(users, public_url=public_url)
        self._users = users
        self._admin_token = admin_token.encode()
        self._device_of_token = device_of_token
        self._public_url = public_url

    async def caller(self, request: Request) -> Record | None:
        """Return `{"userId", "roles", …}` of the caller, or None.

        Raises:
            HTTPError: 403 a cookie, used by a page that is not ours.
        """
        token = bearer_of(request.headers)
        cookie = request.cookies.get(COOKIE)
        try:
            if token:
                return await self._of_token(token)
            return await self._of_session(request, cookie) if cookie else None
        except Refused as refused:
            count_refusal(refused.reason)
            return None

    async def _of_session(self, request: Request, cookie: str) -> Record:
        # A WebSocket begins with a GET, and then does what it likes.
        is_safe = request.method in _SAFE_METHODS and "upgrade" not in request.headers
        if not is_safe and not same_origin(request.headers, self._public_url):
            count_refusal("origin")
            raise HTTPError(403, "the request does not come from this site")
        return await self._users.sessions.caller(cookie)

    async def _of_token(self, token: str) -> Record:
        if hmac.compare_digest(token.encode(errors="surrogatepass"), self._admin_token):
            return make_caller(ADMIN, [ADMIN], kind="token")
        key = key_format.parsed(token)
        if key is not None:
            return await self._access.keys.caller(key)
        if looks_like_jwt(token):
            return await self._access.tokens.caller(token)
        device = self._device_of_token(token)
        if device is None:
            raise Refused("token")
        known = make_caller(f"{device['tenant']}/{device['device']}", [DEVICE], kind="device")
        known.update(device)
        return known
