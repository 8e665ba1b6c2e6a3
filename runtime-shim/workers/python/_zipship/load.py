# -*- coding: utf-8 -*-
"""Finds and imports the handler. Failures are told in Python's own words."""
import os
import sys


class NotThere(Exception):
    """The handler file or function does not exist."""


def find(directory, path):
    """The path as it is there (`a.b` may be `a/b`), and the file."""
    for candidate in (path, path.replace(".", "/")):
        for ending in (".py", "/__init__.py"):
            name = os.path.join(directory, candidate + ending)
            if os.path.isfile(name):
                return candidate, name
    folder = os.path.join(directory, os.path.dirname(path))
    there = sorted(os.listdir(folder))[:20] if os.path.isdir(folder) else []
    raise NotThere("the handler file %s.py is not there; %s has: %s" % (path, folder, ", ".join(there) or "nothing"))


def is_name(part):
    return part.replace("_", "a").isalnum() and not part[0].isdigit()


def is_taken(name):
    """Whether the name is another module's, of Python's library for example. It is imported then, before the code
    directory is on the path: what else needs it gets the real one."""
    if name in sys.modules:
        return True
    try:
        __import__(name)
        return True
    except ImportError:
        return False
    except Exception:
        return True


def importable(directory, path):
    """The name by which the file can be imported; none when it has to be loaded from its file."""
    parts = path.split("/")
    if not all(is_name(part) for part in parts) or is_taken(parts[0]):
        return None
    if sys.version_info[0] == 2:
        folders = ["/".join(parts[:count]) for count in range(1, len(parts))]
        if not all(os.path.isfile(os.path.join(directory, folder, "__init__.py")) for folder in folders):
            return None
    return ".".join(parts)


def load_file(file):
    if sys.version_info[0] == 2:
        import imp
        return imp.load_source("zipship_handler", file)
    from importlib import util
    spec = util.spec_from_file_location("zipship_handler", file)
    module = util.module_from_spec(spec)
    sys.modules["zipship_handler"] = module
    spec.loader.exec_module(module)
    return module


def load(directory, handler):
    """The handler function. Puts the code directory and its `package` on the path."""
    if handler.startswith("./"):
        handler = handler[2:]
    path, dot, function = handler.rpartition(".")
    if not dot or not path:
        raise NotThere('the handler "%s" has no function name; write path/file.function' % handler)
    path, file = find(directory, path)
    folders = [directory, os.path.join(directory, "package")]
    others = [entry for entry in sys.path if entry not in folders]
    sys.path[:] = others
    name = importable(directory, path)
    sys.path[:] = folders + others
    if name is None:
        module = load_file(file)
    else:
        __import__(name)
        module = sys.modules[name]
    found = getattr(module, function, None)
    if not callable(found):
        there = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
        raise NotThere('%s has no function "%s"; it has: %s' % (os.path.basename(file), function, ", ".join(there) or "none"))
    return found
