"""The event loop of every process here, ours and the peers': uvloop, which their servers use."""

BACKEND_OPTIONS = {"use_uvloop": True}
