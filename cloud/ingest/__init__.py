"""From MQTT and HTTP to the store: receive, decode, batch, store, account, acknowledge."""
