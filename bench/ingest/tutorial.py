"""What the tutorials show: paho-mqtt and influxdb-client in one short script.

`python -m bench.ingest.tutorial PORT URL sync|batching`. The script is what a reader of the two
libraries' own documentation writes: a callback for each message, a point for each message, one
write for each point (sync) or the library's batching writer with its defaults (batching). Its
session is persistent, as it would be by somebody who knows that far. Prints `ready`.
"""

import json
import sys
from typing import Any

from influxdb_client import InfluxDBClient, Point, WriteOptions, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion


def main() -> None:
    """Write every message's values as a point, until killed."""
    port, url, kind = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    options = SYNCHRONOUS if kind == "sync" else WriteOptions()
    influx = InfluxDBClient(url=url, token="none", org="bench")
    writer = influx.write_api(write_options=options)

    def on_message(_client: Client, _userdata: object, message: Any) -> None:
        _, tenant, device, _ = message.topic.split("/")
        reading = json.loads(message.payload)
        point = Point("telemetry").tag("tenant", tenant).tag("device", device)
        for name, value in reading["values"].items():
            point.field(name, float(value))
        point.time(reading["ts"], WritePrecision.MS)
        writer.write(bucket="bench", record=point)

    def on_connect(client: Client, *_: object) -> None:
        client.subscribe("t/+/+/telemetry", qos=1)

    def on_subscribe(*_: object) -> None:
        print("ready", flush=True)

    client = Client(CallbackAPIVersion.VERSION2, client_id="tutorial", clean_session=False)
    client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    main()
