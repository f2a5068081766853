"""The MQTT broker: Mosquitto as a child process, or amqtt in this one, under the same rules."""
