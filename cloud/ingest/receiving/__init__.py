"""MQTT: one persistent session at the broker, read in bulk, acknowledged when told to."""
