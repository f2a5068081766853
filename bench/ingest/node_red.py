"""Node-RED with the flows that its users build: MQTT in, JSON, a function, InfluxDB out.

`plain` writes each message by itself; `batched` joins 1,000 messages, or what came in a second,
and writes them at once. The session at the broker is persistent.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.servers import Unprepared

_Node = dict[str, Any]

_PROGRAM = Path(__file__).parents[1] / "node" / "node_modules" / ".bin" / "node-red"
_SETTINGS = """module.exports = {{
    uiPort: {port}, uiHost: "127.0.0.1", httpAdminRoot: false, flowFile: "flows.json",
    credentialSecret: false, telemetry: {{ enabled: false }},
    logging: {{ console: {{ level: "info" }} }},
}};
"""
_PLAIN = """
const [, tenant, device] = msg.topic.split("/");
const reading = msg.payload;
msg.payload = [{...reading.values, time: new Date(reading.ts)}, {tenant, device}];
return msg;
"""
_POINT = """
const [, tenant, device] = msg.topic.split("/");
const reading = msg.payload;
msg.payload = {measurement: "telemetry", fields: reading.values, tags: {tenant, device},
               timestamp: new Date(reading.ts)};
return msg;
"""


def command(
    folder: Path, kind: str, *, mqtt_port: int, http_port: int, influx_url: str
) -> list[str]:
    """Write settings and flow into `folder`; returns what starts Node-RED with them.

    Raises:
        Unprepared: Node-RED is not installed.
    """
    if not _PROGRAM.exists():
        raise Unprepared("Node-RED is not installed: 'make bench NAME=ingest' does it (needs npm)")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.js").write_text(_SETTINGS.format(port=http_port), "utf-8")
    flow = _flow(kind, mqtt_port, urlsplit(influx_url))
    (folder / "flows.json").write_text(json.dumps(flow), "utf-8")
    # Its own modules are found from the folder that holds them.
    modules = folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(_PROGRAM.parents[1])
    return [str(_PROGRAM), "--userDir", str(folder), "--settings", str(folder / "settings.js")]


def _flow(kind: str, mqtt_port: int, influx: Any) -> list[_Node]:
    tab: _Node = {"z": "flow", "x": 100, "y": 100}
    broker: _Node = {
        "id": "broker",
        "type": "mqtt-broker",
        "broker": "127.0.0.1",
        "port": str(mqtt_port),
        "clientid": "node-red",
        "autoConnect": True,
        "protocolVersion": "4",
        "keepalive": "60",
        "cleansession": False,
    }
    database: _Node = {
        "id": "influx",
        "type": "influxdb",
        "influxdbVersion": "1.x",
        "hostname": influx.hostname,
        "port": str(influx.port),
        "database": influx.path.strip("/"),
    }
    mqtt_in = tab | {
        "id": "in",
        "type": "mqtt in",
        "topic": "t/+/+/telemetry",
        "qos": "1",
        "datatype": "utf8",
        "broker": "broker",
        "inputs": 0,
        "wires": [["json"]],
    }
    parse = tab | {"id": "json", "type": "json", "property": "payload", "action": "obj"}
    function = tab | {"id": "function", "type": "function", "outputs": 1, "noerr": 0, "libs": []}
    nodes: list[_Node] = [{"id": "flow", "type": "tab", "label": kind}, broker, database, mqtt_in]
    nodes.append(parse | {"wires": [["function"]]})
    if kind == "plain":
        out = tab | {"id": "out", "type": "influxdb out", "influxdb": "influx"}
        out |= {"measurement": "telemetry", "precision": "ms", "wires": []}
        return [*nodes, function | _wired(_PLAIN, "out"), out]
    join = tab | {"id": "join", "type": "join", "mode": "custom", "build": "array"}
    join |= {"property": "payload", "propertyType": "msg", "count": "1000", "timeout": "1"}
    join |= {"joiner": "", "joinerType": "str", "accumulate": False, "wires": [["out"]]}
    out = tab | {"id": "out", "type": "influxdb batch", "influxdb": "influx"}
    out |= {"precision": "ms", "wires": []}
    return [*nodes, function | _wired(_POINT, "join"), join, out]


def _wired(function: str, target: str) -> _Node:
    return {"func": function, "wires": [[target]]}
