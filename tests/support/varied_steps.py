"""A dozen api steps of all kinds, with schemas that say what they take and answer."""

STEPS = {
    "types_of_shop": """
    import msgspec

    class Address(msgspec.Struct, frozen=True):
        street: str
        zip_code: str = ""

    class Customer(msgspec.Struct, frozen=True):
        name: str
        addresses: tuple[Address, ...] = ()
        age: int | None = None
    """,
    "add_item_step": """
    config = {"type": "api", "name": "AddItem", "method": "POST", "path": "/items",
              "description": "Adds an item\\n\\nIts name is its id.", "flows": ["items"],
              "emits": ["item.added"],
              "bodySchema": {"type": "object", "required": ["name", "count"],
                             "additionalProperties": False,
                             "properties": {"name": {"type": "string", "minLength": 1},
                                            "count": {"type": "integer", "minimum": 1,
                                                      "maximum": 1000},
                                            "parent": {"$ref": "#/$defs/Item"}},
                             "$defs": {"Item": {"type": "object", "additionalProperties": False,
                                                "properties": {
                                                    "parent": {"$ref": "#/$defs/Item"}}}}},
              "responseSchema": {201: {"type": "object", "required": ["name"],
                                       "properties": {"name": {"type": "string"}}}}}
    async def handler(req, ctx):
        await ctx.state.set("items", req.body["name"], req.body)
        await ctx.emit("item.added", req.body)
        return (201, {"name": req.body["name"]})
    """,
    "get_item_step": """
    from tidegate import HTTPError
    config = {"type": "api", "name": "GetItem", "path": "/items/:name", "emits": [],
              "flows": ["items"],
              "responseSchema": {200: {"type": "object"}}}
    async def handler(req, ctx):
        found = await ctx.state.get("items", req.path_params["name"])
        if found is None:
            raise HTTPError(404, "no such item")
        return {"item": found}
    """,
    "delete_item_step": """
    config = {"type": "api", "name": "DeleteItem", "method": "DELETE", "path": "/items/:id",
              "emits": [], "flows": ["items"], "responseSchema": {204: None}}
    async def handler(req, ctx):
        await ctx.state.delete("items", req.path_params["id"])
    """,
    "list_items_step": """
    config = {"type": "api", "name": "ListItems", "path": "/items", "emits": [],
              "queryParams": {"type": "object", "additionalProperties": True, "properties": {
                  "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                  "ratio": {"type": "number"}, "all": {"type": "boolean"},
                  "order": {"enum": ["name", "count"]},
                  "tag": {"type": "array", "items": {"type": "integer"}}}},
              "responseSchema": {200: {"type": "object", "required": ["items"]}}}
    async def handler(req, ctx):
        return {"items": await ctx.state.get_group("items"), "asked": req.query_params}
    """,
    "find_step": """
    config = {"type": "api", "name": "Find", "path": "/find", "emits": [],
              "queryParams": {"type": "object", "required": ["q"],
                              "properties": {"q": {"type": "string", "maxLength": 20}}}}
    async def handler(req, ctx):
        return {"q": req.query_params["q"]}
    """,
    "documented_step": """
    config = {"type": "api", "name": "Documented", "path": "/documented", "emits": [],
              "queryParams": ["page", {"name": "sort", "description": "By what"}]}
    async def handler(req, ctx):
        return (200, req.query_params)
    """,
    "customer_step": """
    from types_of_shop import Customer
    config = {"type": "api", "name": "PutCustomer", "method": "PUT", "path": "/customers/:id",
              "emits": [], "bodySchema": Customer, "responseSchema": {200: Customer}}
    async def handler(req, ctx):
        return (200, req.body)
    """,
    "file_step": """
    config = {"type": "api", "name": "GetFile", "path": "/files/:owner/*", "emits": []}
    async def handler(req, ctx):
        return {"status": 200, "body": {"path": req.path_params[0]}}
    """,
    "private_step": """
    config = {"type": "api", "name": "Private", "method": "PATCH", "path": "/private",
              "emits": [], "middleware": ["authMiddleware"],
              "bodySchema": {"type": ["object", "array", "null"]}}
    async def handler(req, ctx):
        return {"user": req.user["userId"]}
    """,
    "nothing_step": """
    config = {"type": "api", "name": "Nothing", "method": "POST", "path": "/nothing", "emits": []}
    async def handler():
        return None
    """,
    "lines_step": """
    config = {"type": "api", "name": "Lines", "path": "/lines", "emits": []}
    async def lines():
        yield "a\\n"
        yield "b\\n"
    async def handler(req, ctx):
        return {"status": 200, "headers": {"Content-Type": "text/plain"}, "body": lines()}
    """,
    "talk_step": """
    config = {"type": "api", "name": "Talk", "path": "/talk/:room", "emits": [],
              "websocket": True}
    async def handler(req, ctx):
        req.ws.on("message", lambda text: req.ws.send(text))
    """,
    "model_step": """
    from pydantic import BaseModel, ConfigDict
    class Part(BaseModel):
        model_config = ConfigDict(strict=True)
        number: int
    class Machine(BaseModel):
        name: str
        parts: list[Part] = []
    config = {"type": "api", "name": "AddMachine", "method": "POST", "path": "/machines",
              "emits": [], "bodySchema": Machine, "responseSchema": {201: Machine}}
    async def handler(req, ctx):
        return (201, req.body)
    """,
}
