"""What tests of tokens share: the paths, a signing key, a refresh."""

from typing import Any

from prometheus_client import REGISTRY

from tests.support.access import Instance
from tidegate.auth.signing import SigningKey, SigningKeys

LOGIN, REFRESH, LOGOUT = (f"/api/v1/auth/{name}" for name in ("login", "refresh", "logout"))


KID, SECRET = "k1", "11" * 32


def keys() -> SigningKeys:
    """Return the one key that a test knows."""
    return SigningKeys([SigningKey(KID, SECRET)])


def refused(reason: str) -> float:
    """Return how often a token was refused for a reason."""
    return REGISTRY.get_sample_value("tidegate_auth_refused_total", {"reason": reason}) or 0


async def refresh(here: Instance, token: str) -> tuple[int, dict[str, Any]]:
    """Refresh by a token; returns the status and the answer."""
    async with here.client() as client:
        answer = await client.post(REFRESH, json={"refresh_token": token})
    return answer.status_code, answer.json()
