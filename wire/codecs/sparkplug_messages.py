"""The protobuf messages of Sparkplug B, described as far as we use them. Pure."""

from functools import partial
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FieldType = descriptor_pb2.FieldDescriptorProto
# Names and texts are bytes here, so that one which is no UTF-8 spoils nothing beside it.
_PAYLOAD_FIELDS = {
    "timestamp": (1, _FieldType.TYPE_UINT64),
    "metrics": (2, _FieldType.TYPE_BYTES),
    "seq": (3, _FieldType.TYPE_UINT64),
}
_METRIC_FIELDS = {
    "name": (1, _FieldType.TYPE_BYTES),
    "alias": (2, _FieldType.TYPE_UINT64),
    "timestamp": (3, _FieldType.TYPE_UINT64),
    "datatype": (4, _FieldType.TYPE_UINT32),
    "is_historical": (5, _FieldType.TYPE_BOOL),
    "is_transient": (6, _FieldType.TYPE_BOOL),
    "is_null": (7, _FieldType.TYPE_BOOL),
}
_VALUE_FIELDS = {
    "int": (10, _FieldType.TYPE_UINT32),
    "long": (11, _FieldType.TYPE_UINT64),
    "float": (12, _FieldType.TYPE_FLOAT),
    "double": (13, _FieldType.TYPE_DOUBLE),
    "boolean": (14, _FieldType.TYPE_BOOL),
    "string": (15, _FieldType.TYPE_BYTES),
    "bytes": (16, _FieldType.TYPE_BYTES),
    "data_set": (17, _FieldType.TYPE_BYTES),
    "template": (18, _FieldType.TYPE_BYTES),
    "extension": (19, _FieldType.TYPE_BYTES),
}


def _described() -> tuple[Any, Any]:  # protobuf makes the classes at run time
    """Return the classes of the outer message and of one metric."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tidegate/sparkplug.proto", package="tidegate.sparkplug", syntax="proto2"
    )
    payload = file.message_type.add(name="Payload")
    metric = file.message_type.add(name="Metric")
    metric.oneof_decl.add(name="value")
    for name, (number, kind) in _PAYLOAD_FIELDS.items():
        repeated = _FieldType.LABEL_REPEATED if name == "metrics" else _FieldType.LABEL_OPTIONAL
        payload.field.add(name=name, number=number, type=kind, label=repeated)
    add = partial(metric.field.add, label=_FieldType.LABEL_OPTIONAL)
    for name, (number, kind) in _METRIC_FIELDS.items():
        add(name=name, number=number, type=kind)
    for name, (number, kind) in _VALUE_FIELDS.items():
        add(name=name, number=number, type=kind, oneof_index=0)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = map(pool.FindMessageTypeByName, (f"{file.package}.Payload", f"{file.package}.Metric"))
    payload_class, metric_class = map(message_factory.GetMessageClass, found)
    return payload_class, metric_class


PayloadMessage, MetricMessage = _described()
