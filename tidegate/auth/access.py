"""Everything about who may call, as one thing that the wiring makes and the steps ask for."""

from tidegate.auth.keys import ApiKeys
from tidegate.auth.signing import SigningKeys
from tidegate.auth.tokens import TokenIssuer
from tidegate.auth.users import Users


class Access:
    """Users, tokens and keys of one instance: the resource `access` of the steps of this package.

    `signing` None: keys that end with the process, and with them the access tokens. `public_url`
    is what browsers call us by behind a proxy.
    """

    def __init__(
        self, users: Users, *, signing: SigningKeys | None = None, public_url: str | None = None
    ) -> None:
        self.users = users
        self.tokens = TokenIssuer(users, signing or SigningKeys())
        self.keys = ApiKeys(users)
        self.public_url = public_url
