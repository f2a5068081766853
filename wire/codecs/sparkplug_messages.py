"""The protobuf messages of Sparkplug B, described as far as we use them. Pure."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_UINT32, _UINT64 = _Field.TYPE_UINT32, _Field.TYPE_UINT64
_FLOAT, _DOUBLE, _BOOL = _Field.TYPE_FLOAT, _Field.TYPE_DOUBLE, _Field.TYPE_BOOL
# Names and texts are bytes here, so that one which is no UTF-8 spoils nothing beside it.
_BYTES = _Field.TYPE_BYTES

_PAYLOAD_FROM_1 = {"timestamp": _UINT64, "metrics": _BYTES, "seq": _UINT64}
_METRIC_FROM_1 = {
    "name": _BYTES,
    "alias": _UINT64,
    "timestamp": _UINT64,
    "datatype": _UINT32,
    "is_historical": _BOOL,
    "is_transient": _BOOL,
    "is_null": _BOOL,
}
_VALUE_FROM_10 = {
    "int": _UINT32,
    "long": _UINT64,
    "float": _FLOAT,
    "double": _DOUBLE,
    "boolean": _BOOL,
    "string": _BYTES,
    "bytes": _BYTES,
    "data_set": _BYTES,
    "template": _BYTES,
    "extension": _BYTES,
}


def _described() -> tuple[Any, Any]:  # protobuf makes the classes at run time
    """Return the classes of the outer message and of one metric."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tidegate/sparkplug.proto", package="tidegate.sparkplug", syntax="proto2"
    )
    payload = file.message_type.add(name="Payload")
    metric = file.message_type.add(name="Metric")
    metric.oneof_decl.add(name="value")
    for number, (name, kind) in enumerate(_PAYLOAD_FROM_1.items(), 1):
        repeated = _Field.LABEL_REPEATED if name == "metrics" else _Field.LABEL_OPTIONAL
        payload.field.add(name=name, number=number, type=kind, label=repeated)
    for number, (name, kind) in enumerate(_METRIC_FROM_1.items(), 1):
        metric.field.add(name=name, number=number, type=kind, label=_Field.LABEL_OPTIONAL)
    for number, (name, kind) in enumerate(_VALUE_FROM_10.items(), 10):
        value = metric.field.add(name=name, number=number, type=kind, oneof_index=0)
        value.label = _Field.LABEL_OPTIONAL
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = map(pool.FindMessageTypeByName, (f"{file.package}.Payload", f"{file.package}.Metric"))
    payload_class, metric_class = map(message_factory.GetMessageClass, found)
    return payload_class, metric_class


PayloadMessage, MetricMessage = _described()
