"""Who is calling: users, sessions, tokens, API keys, and the middlewares that steps name.

`role` and `scope` are for a step's `config["middleware"]`, after `authMiddleware`.
"""

from tidegate.auth.guards import role, scope

__all__ = ["role", "scope"]
