# -*- coding: utf-8 -*-
"""What goes back to the shim at the end of an invocation, and what goes to the log."""
import sys
from .answer import Malformed
from .documents import NEW, ascii_object, text_type
from .frames import END, ERROR
from .output import complain


def words(error):
    """An exception's message as text, whatever it is made of."""
    try:
        return text_type(error)
    except Exception:
        pass
    try:
        return str(error).decode("utf-8", "replace") if not NEW else repr(error)
    except Exception:
        return u"(its message cannot be shown)"


def trace(error, traceback):
    """Python's own account, from the handler's first line on."""
    from traceback import format_exception
    inner = traceback.tb_next if traceback is not None and traceback.tb_next is not None else traceback
    try:
        lines = format_exception(type(error), error, inner)
    except Exception:
        lines = ["%s: %s\n" % (type(error).__name__, words(error))]
    if NEW:
        return "".join(lines)
    return u"".join(line if isinstance(line, text_type) else line.decode("utf-8", "replace") for line in lines)


def failure(error, has_begun):
    """Kind and meta of the frame for an exception, which is logged. A stream that has begun can only break off."""
    if isinstance(error, Malformed):
        message, name, kind = words(error), "Runtime.MalformedAnswer", "malformed"
        complain(message + u"\n")
    else:
        message, name, kind = words(error), type(error).__name__, "thrown"
        complain(trace(error, getattr(error, "__traceback__", None) if NEW else sys.exc_info()[2]))
    if has_begun:
        return END, ascii_object(error_type=name, message=message)
    return ERROR, ascii_object(kind=kind, message=message, error_type=name)
