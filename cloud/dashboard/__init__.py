"""The pages people look at: server-rendered, live by server-sent events, login required."""
