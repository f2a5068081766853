"""What the MQTT side counts."""

from prometheus_client import Counter

relayed = Counter("tidegate_relay_frames_total", "Frames of streams, by direction", ["direction"])
dropped = Counter(
    "tidegate_relay_frames_dropped_total",
    "Frames that were not relayed, by why; other processes read them from the log",
    ["why"],
)
undecodable = Counter(
    "tidegate_mqtt_messages_undecodable_total", "Messages that are no frames, or have no topic"
)
received = Counter("tidegate_mqtt_messages_total", "Messages of mqtt steps", ["step", "outcome"])
