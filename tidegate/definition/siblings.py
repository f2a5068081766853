"""Run a file of a folder of steps so that its imports find the folder's own modules first.

Two folders may each have a `rules.py`: each file gets the one beside it, also when it imports in
a handler, long after it was loaded. So siblings are modules of a package that stands for their
folder, and the files of a folder see an `__import__` that knows it.
"""

import builtins
import sys
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from tidegate.errors import Misconfigured

_PREFIX = "tidegate_siblings_"


def execute(file: Path, name: str, given: Mapping[str, object] | None = None) -> ModuleType:
    """Run a file as the module `name`, with some names given to it.

    Raises:
        Misconfigured: it cannot be imported.
        ImportError: it calls `sys.exit`. Whatever else the file raises comes through.
    """
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise Misconfigured("cannot be imported")
    module = module_from_spec(spec)
    module.__dict__.update(given or {}, __builtins__=_builtins_of(_package_of(file.parent)))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SystemExit as exc:
        left = ImportError(f"calls sys.exit({exc.code!r}) when it is loaded")
        raise left.with_traceback(exc.__traceback__) from exc
    return module


def _package_of(folder: Path) -> str:
    """Return the name of the package that stands for a folder."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    # Names of other folders are found as before, after everything that is installed.
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    name = _PREFIX + blake2b(str(folder).encode(), digest_size=8).hexdigest()
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return name


def _builtins_of(package: str) -> dict[str, Any]:
    """Return builtins whose `__import__` looks into the package's folder first."""
    folder = Path(sys.modules[package].__path__[0])

    def imported(
        name: str,
        globals_: Mapping[str, object] | None = None,
        locals_: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or not _is_sibling(folder, top):
            return builtins.__import__(name, globals_, locals_, fromlist, level)
        found = builtins.__import__(f"{package}.{name}", globals_, locals_, fromlist, 0)
        return found if fromlist else sys.modules[f"{package}.{top}"]

    return {**vars(builtins), "__import__": imported}


def _is_sibling(folder: Path, name: str) -> bool:
    """Tell whether the folder has such a module; the standard library's names stay its own."""
    if name in sys.stdlib_module_names or name == "tidegate":
        return False
    return (folder / f"{name}.py").is_file() or any((folder / name).glob("*.py"))


class _Finder(MetaPathFinder):
    """Finds the modules of a folder's package, so that they find their siblings, too."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module of one of our packages, None for all others."""
        package = fullname.partition(".")[0]
        if path is None or not package.startswith(_PREFIX):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, str(spec.loader.path))
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        """Run a sibling's code with its folder's `__import__`."""
        module.__dict__["__builtins__"] = _builtins_of(module.__name__.partition(".")[0])
        super().exec_module(module)
