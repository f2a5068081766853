"""The session's cookie: its name, and how long a session lasts."""

COOKIE = "tidegate_session"
TTL_S = 7 * 24 * 3600
