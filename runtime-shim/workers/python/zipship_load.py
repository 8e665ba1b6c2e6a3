# -*- coding: utf-8 -*-
"""Finds and imports the handler. Failures are told in Python's own words. Runs on Python 2.7 and 3."""
import importlib
import os
import re
import sys


class NotThere(Exception):
    """The handler file or function does not exist."""


def find(directory, path):
    for candidate in (path, path.replace(".", "/")):
        for ending in (".py", "__init__.py"):
            name = os.path.join(directory, candidate + ("/" if ending.startswith("_") else "") + ending)
            if os.path.isfile(name):
                return candidate, name
    folder = os.path.join(directory, os.path.dirname(path))
    there = sorted(os.listdir(folder))[:20] if os.path.isdir(folder) else []
    raise NotThere("the handler file %s.py is not there; %s has: %s" % (path, folder, ", ".join(there) or "nothing"))


def import_file(path, name):
    dotted = path.replace("/", ".")
    plain = all(re.match(r"^[A-Za-z_][A-Za-z0-9_]*$", part) for part in dotted.split("."))
    packages = sys.version_info[0] > 2 or "." not in dotted
    if plain and packages and dotted not in sys.modules and dotted.split(".")[0] not in sys.modules:
        return importlib.import_module(dotted)
    # A name that the standard library or Python's syntax has taken already.
    if sys.version_info[0] == 2:
        import imp
        return imp.load_source("zipship_handler", name)
    from importlib import util
    spec = util.spec_from_file_location("zipship_handler", name)
    module = util.module_from_spec(spec)
    sys.modules["zipship_handler"] = module
    spec.loader.exec_module(module)
    return module


def load(directory, handler):
    """The handler function."""
    if handler.startswith("./"):
        handler = handler[2:]
    path, dot, function = handler.rpartition(".")
    if not dot or not path:
        raise NotThere('the handler "%s" has no function name; write path/file.function' % handler)
    path, name = find(directory, path)
    module = import_file(path, name)
    found = getattr(module, function, None)
    if not callable(found):
        there = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
        raise NotThere('%s has no function "%s"; it has: %s' % (os.path.basename(name), function, ", ".join(there) or "none"))
    return found
