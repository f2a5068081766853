"""The edge agent: reads sources on a device, keeps readings in an outbox, publishes over MQTT."""
