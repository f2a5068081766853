"""What can be seen in the text of a step file without running it. Pure."""

import ast
import builtins
import symtable
from collections.abc import Collection, Iterator
from typing import NamedTuple

_OF_MODULES = {
    "__file__", "__name__", "__doc__", "__spec__", "__loader__", "__package__", "__builtins__",
    "__cached__", "__path__", "__debug__", "__annotations__", "__class__",
}  # fmt: skip
_KNOWN = frozenset(dir(builtins)) | _OF_MODULES
_HTTP = "get post put patch delete head options request"
_BLOCKING = {
    f"{package}.{name}".removeprefix("."): instead
    for package, names, instead in (
        ("", "open", "anyio.open_file"),
        ("", "input", "nothing: a step has no terminal"),
        ("time", "sleep", "ctx.sleep or anyio.sleep"),
        ("os", "system popen", "anyio.run_process"),
        ("subprocess", "run call check_call check_output getoutput Popen", "anyio.run_process"),
        ("requests", f"{_HTTP} Session", "httpx.AsyncClient"),
        ("httpx", f"{_HTTP} stream", "httpx.AsyncClient"),
        ("urllib.request", "urlopen urlretrieve", "httpx.AsyncClient"),
        ("http.client", "HTTPConnection HTTPSConnection", "httpx.AsyncClient"),
        ("socket", "create_connection getaddrinfo gethostbyname", "anyio.connect_tcp"),
        ("smtplib", "SMTP SMTP_SSL", "aiosmtplib"),
        ("sqlite3", "connect", "ctx.state"),
        ("psycopg2", "connect", "an asynchronous client"),
        ("shutil", "copy copytree rmtree move", "anyio.to_thread.run_sync"),
    )
    for name in names.split()
}


class Spot(NamedTuple):
    """A place in a file: the line, the name there, and what would be right."""

    line: int
    name: str
    instead: str = ""


def undefined_names(text: str, *, given: Collection[str] = ()) -> list[Spot]:
    """Return names that are used and bound nowhere: calls of them would end in NameError.

    Args:
        text: a step file that can be parsed.
        given: names that the sibling `step_globals.py` provides.
    """
    tree = ast.parse(text)
    if any(isinstance(node, ast.ImportFrom) and _imports_all(node) for node in ast.walk(tree)):
        return []
    table = symtable.symtable(text, "step", "exec")
    bound = _KNOWN | set(given) | _bound_in_module(table)
    missing = {name for name in _global_names(table) if name not in bound}
    lines: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in missing:
            lines[node.id] = min(node.lineno, lines.get(node.id, node.lineno))
    return sorted(Spot(line, name) for name, line in lines.items())


def blocking_calls(text: str) -> list[Spot]:
    """Return calls in `async def` functions that hold up everything else meanwhile."""
    tree = ast.parse(text)
    imports = dict(_imported_names(tree))
    own = _bound_in_module(symtable.symtable(text, "step", "exec")) - set(imports)
    spots = {
        spot
        for function in ast.walk(tree)
        if isinstance(function, ast.AsyncFunctionDef)
        for call in _calls_in(function)
        if (spot := _blocking(call, imports, own)) is not None
    }
    return sorted(spots)


def emitted_topics(text: str) -> set[str]:
    """Return the topics that calls of `….emit` name literally."""
    return {
        topic
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if call.func.attr == "emit" and call.args
        if (topic := _literal_topic(call.args[0])) is not None
    }


def _imports_all(node: ast.ImportFrom) -> bool:
    return any(alias.name == "*" for alias in node.names)


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _bound_in_module(module: symtable.SymbolTable) -> set[str]:
    """Return the names that the module binds, also by `global` in a function."""
    return {
        symbol.get_name()
        for table in _tables(module)
        for symbol in table.get_symbols()
        if table is module or symbol.is_declared_global()
        if symbol.is_assigned() or symbol.is_imported()
    } | {child.get_name() for child in module.get_children()}


def _global_names(module: symtable.SymbolTable) -> set[str]:
    """Return the names that are looked up among the module's."""
    return {
        symbol.get_name()
        for table in _tables(module)
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (table is module or symbol.is_global())
    }


def _imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield local names of what is imported, with their full names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _calls_in(function: ast.AsyncFunctionDef) -> Iterator[ast.Call]:
    """Yield the calls that the function itself makes; inner functions run who knows where."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting.extend(ast.iter_child_nodes(node))


def _blocking(call: ast.Call, imports: dict[str, str], own: Collection[str]) -> Spot | None:
    name = _dotted(call.func)
    first, dot, rest = name.partition(".")
    if not name or first in own:
        return None
    if dot and first not in imports:
        return None
    full = f"{imports.get(first, first)}{dot}{rest}"
    return Spot(call.lineno, full, _BLOCKING[full]) if full in _BLOCKING else None


def _dotted(node: ast.expr) -> str:
    """Return `a.b.c` of an expression that is nothing else, else an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def _literal_topic(node: ast.expr) -> str | None:
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "topic":
                return _literal_topic(value)
        return None
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
