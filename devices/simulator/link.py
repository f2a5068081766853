"""A device's link to the broker: connect, birth, send, last will, and again after a loss."""

import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
import logging

import aiomqtt
import anyio
import msgspec
from paho.mqtt.reasoncodes import ReasonCode

from devices.simulator.errors import NotDelivered
from wire.codecs import json
from wire.ids import DeviceKey
from wire.messages import Reading, Status
from wire.topics import account_name, topic

_KEEPALIVE_S = 20
_GOODBYE_TIMEOUT_S = 1.0
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 15.0
_REFUSED_CODES = {4, 5, 134, 135}
_logger = logging.getLogger(__name__)
del ssl
