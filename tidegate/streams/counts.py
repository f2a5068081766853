"""What streams count."""

from prometheus_client import Counter, Gauge

clients = Gauge("tidegate_stream_clients", "Clients that follow a group of a stream")
resets = Counter(
    "tidegate_stream_clients_reset_total",
    "Times a client was given a fresh snapshot instead of the changes, by why",
    ["why"],
)
dropped = Counter(
    "tidegate_stream_frames_dropped_total",
    "Frames that were let go, by where; clients get them from the log all the same",
    ["where"],
)
healed = Counter("tidegate_stream_gaps_healed_total", "Gaps that were filled from the log")
callback_errors = Counter("tidegate_stream_callback_errors_total", "Errors of subscribed functions")
