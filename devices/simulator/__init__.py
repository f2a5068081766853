"""Simulated devices and recorded series, published through MQTT as real devices would."""
