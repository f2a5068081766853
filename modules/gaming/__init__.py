"""The gaming module: matchmaking, a game played over WebSockets, and anti-cheat."""
