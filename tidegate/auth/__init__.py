"""Who is calling: users with passwords and sessions, bearer tokens, the named middlewares."""
