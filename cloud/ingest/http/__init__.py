"""The way in for what does not come over MQTT: telemetry over HTTP, and letters come back."""
