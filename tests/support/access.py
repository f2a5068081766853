"""An instance of the auth steps for a test: real app and store, a clock that the test moves."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
from argon2 import PasswordHasher
from starlette.applications import Starlette

from tests.support.steps import write_steps
from tidegate.auth.access import Access
from tidegate.auth.accounts import Account
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.middleware import MIDDLEWARE_NAMES, named_middlewares
from tidegate.auth.passwords import Passwords
from tidegate.auth.signing import SigningKeys
from tidegate.auth.users import Users
from tidegate.contract import Context
from tidegate.engine.engine import Engine
from tidegate.http.routes import routes
from tidegate.http.server import make_app
from tidegate.running.loading import load_steps
from tidegate.store.open import open_store
from tidegate.testing.clock import VirtualClock

ROOT = Path(__file__).parents[2]
AUTH_STEPS = ROOT / "tidegate" / "auth" / "steps"
TOKEN = "administrator"
PASSWORD = "correct horse"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Instance:
    """What a test asks of the instance."""

    def __init__(self, engine: Engine, access: Access, clock: VirtualClock, app: Starlette) -> None:
        self.engine = engine
        self.access = access
        self.clock = clock
        self.app = app

    def client(self, bearer: str | None = None, **headers: str) -> httpx.AsyncClient:
        """Return a client with its own cookies; `bearer` is its token."""
        known = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app, raise_app_exceptions=False),
            base_url="http://here",
            headers={**known, **headers},
        )

    def tick(self, seconds: float) -> None:
        """Move the clock."""
        self.clock.move_to(self.clock.now_ms() + round(seconds * 1000))

    async def add_user(self, username: str, **parts: Any) -> Account:
        """Add a user with the password of the tests."""
        return await self.access.users.add(Account(username=username, **parts), PASSWORD)

    async def put(self, group: str, key: str, value: object) -> None:
        """Set a value of the state."""

        async def put(ctx: Context) -> None:
            await ctx.state.set(group, key, value)

        await self.engine.transact(put)

    async def log_in(self, username: str, password: str = PASSWORD) -> dict[str, Any]:
        """Log in over HTTP and return the tokens."""
        async with self.client() as client:
            answer = await client.post(
                "/api/v1/auth/login", json={"username": username, "password": password}
            )
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def status(
        self, bearer: str | None, path: str = "/api/v1/auth/me", method: str = "GET"
    ) -> int:
        """Return how a bearer is answered."""
        async with self.client(bearer) as client:
            return (await client.request(method, path)).status_code


@asynccontextmanager
async def instance(
    folder: Path,
    files: Mapping[str, str] | None = None,
    *,
    signing: SigningKeys | None = None,
    hasher: PasswordHasher = QUICK,
    public_url: str | None = None,
) -> AsyncIterator[Instance]:
    """Serve the auth steps, and others, in process."""
    roots = [AUTH_STEPS, write_steps(folder / "steps", files or {})]
    found = load_steps(roots, resources=["access"], middleware=MIDDLEWARE_NAMES)
    clock = VirtualClock(NOW)
    async with open_store(f"sqlite:///{folder / 'state.db'}") as store:
        engine = Engine(found, store, now_ms=clock.now_ms, rng=Random(1))
        users = Users(engine, passwords=Passwords(hasher))
        access = Access(users, signing=signing, public_url=public_url)
        engine.provide({"access": access})
        known = Authenticator(
            users,
            admin_token=TOKEN,
            device_of_token={"device-token": {"tenant": "acme", "device": "pump"}}.get,
            public_url=public_url,
            access=access,
        )
        app = make_app(routes(engine, named_middlewares(known)))
        yield Instance(engine, access, clock, app)
