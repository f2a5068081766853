"""Hashes of MQTT passwords in the format that Mosquitto reads: `$7$iterations$salt$hash`.

The fleet stands below the broker and may not ask it; `tests/unit/test_fleet_registry.py` checks
that both agree on the format.
"""

import base64
import hashlib
import os

# Mosquitto 2.0's own number. The passwords are random: there is nothing to guess slowly.
_ITERATIONS = 101
_SALT_BYTES = 12
_HASH_BYTES = 64


def hash_password(password: str) -> str:
    """Hash a password with a new salt."""
    salt = os.urandom(_SALT_BYTES)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, _HASH_BYTES)
    salt_text, key_text = (base64.b64encode(data).decode("ascii") for data in (salt, key))
    return f"$7${_ITERATIONS}${salt_text}${key_text}"
