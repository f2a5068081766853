"""MQTT: streams between processes, and steps that get messages of a broker."""
