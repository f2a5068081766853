"""Schemas that several places of a document share: `$defs` are lifted into `components`. Pure."""

import json
import re
from typing import Any
from urllib.parse import quote, unquote

from tidegate.describe.json_schemas import json_schema_of, references, rewritten

_PLACE = "#/components/schemas/"
_LIFTED = ("$defs", "definitions")


class Components:
    """The schemas of one document by name; equal ones are kept once, others get a number."""

    def __init__(self, reserved: dict[str, Any] | None = None) -> None:
        self.schemas: dict[str, Any] = dict(reserved or {})
        self._names: dict[str, str] = {}

    def of(self, declared: Any, *, owner: str, answers: bool = False) -> Any:
        """Return a declared schema as it stands in the document.

        Args:
            declared: what a step's config holds.
            owner: a name for the schema where one is needed: it refers to itself.
            answers: as what we send, see `json_schema_of`.
        """
        schema = json_schema_of(declared, answers=answers)
        # One with an `$id` is a document of its own: its references are its own, too.
        if not isinstance(schema, dict) or "$id" in schema:
            return schema
        return _Lifting(self, schema, owner).lifted()

    def name_for(self, wanted: str, identity: str) -> tuple[str, bool]:
        """Return the name of a schema, and whether it is new here."""
        known = self._names.get(identity)
        if known is not None:
            return known, False
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", wanted).strip("_") or "Schema"
        name, number = plain, 1
        while name in self.schemas:
            number += 1
            name = f"{plain}_{number}"
        self._names[identity] = name
        self.schemas[name] = {}
        return name, True


class _Lifting:
    """One schema on its way into the components."""

    def __init__(self, components: Components, schema: dict[str, Any], owner: str) -> None:
        self._components = components
        self._root = {key: value for key, value in schema.items() if key not in _LIFTED}
        self._whole = schema
        self._owner = owner
        self._parts = {
            f"#/{keyword}/{_escaped(name)}": part
            for keyword in _LIFTED
            for name, part in schema.get(keyword, {}).items()
        }
        self._names: dict[str, str] = {}

    def lifted(self) -> Any:
        needed = self._reachable(self._root)
        new = [pointer for pointer in sorted(needed - {"#"}) if self._is_new(pointer)]
        refers_to_itself = "#" in needed
        if refers_to_itself:
            identity = json.dumps(self._whole, sort_keys=True)
            self._names["#"], is_new = self._components.name_for(self._owner, identity)
            if is_new:
                self._components.schemas[self._names["#"]] = self._rewritten(self._root)
        for pointer in new:
            part = self._rewritten(self._parts[pointer])
            self._components.schemas[self._names[pointer]] = part
        return (
            {"$ref": _PLACE + self._names["#"]} if refers_to_itself else self._rewritten(self._root)
        )

    def _is_new(self, pointer: str) -> bool:
        """Give a part its name; parts are the same when all that they refer to is."""
        reached = self._reachable(self._parts[pointer]) | {pointer}
        content: Any = {one: self._parts[one] for one in sorted(reached - {"#"})}
        if "#" in reached:
            content["#"] = self._whole
        name = unquote(pointer).rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        identity = json.dumps([pointer, content], sort_keys=True)
        self._names[pointer], is_new = self._components.name_for(name, identity)
        return is_new

    def _reachable(self, schema: Any) -> set[str]:
        """Return the pointers of the parts that a schema needs; `#` stands for its root."""
        found: set[str] = set()
        waiting = [schema]
        while waiting:
            for ref in references(waiting.pop()):
                pointer = self._part_of(ref)
                if pointer is not None and pointer not in found:
                    found.add(pointer)
                    waiting.append(self._root if pointer == "#" else self._parts[pointer])
        return found

    def _part_of(self, ref: str) -> str | None:
        """Return which part a reference leads into, None for one that leads elsewhere."""
        plain = unquote(ref)
        if plain != "#" and not plain.startswith("#/"):
            return None
        head = "/".join(plain.split("/")[:3])
        return head if head in self._parts else "#"

    def _rewritten(self, schema: Any) -> Any:
        def moved(keyword: str, value: Any, _siblings: dict[str, Any]) -> Any:
            pointer = self._part_of(value) if keyword == "$ref" else None
            if pointer is None:
                return value
            return _PLACE + self._names[pointer] + quote(unquote(value)[len(pointer) :], safe="/~")

        return rewritten(schema, moved)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
