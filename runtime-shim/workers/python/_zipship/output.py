# -*- coding: utf-8 -*-
"""Where the handlers' words go: to the pipes as they are, or, when the shim asks for it, line by line with the request
that they belong to."""
import os
import sys
try:
    from _thread import allocate_lock
except ImportError:
    from thread import allocate_lock
from .documents import NEW
from .frames import LOG

if NEW:
    # Also coroutines, and what they start, know their request.
    from _contextvars import ContextVar
    current = ContextVar("zipship_request", default=None)
    enter, request = current.set, current.get
else:
    from thread import _local
    current = _local()

    def enter(number):
        current.number = number

    def request():
        return getattr(current, "number", None)


def complain(text):
    """Writes lines to standard error in one piece."""
    sys.stderr.write(text if NEW or isinstance(text, str) else text.encode("utf-8"))
    sys.stderr.flush()


def end(serve):
    """Ends the process once `serve` returns. Handlers that still run do not hold it up."""
    code = 0
    try:
        serve()
    except SystemExit:  # a signal handler of the function's wants it
        pass
    except (OSError, IOError):  # the shim has gone
        pass
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    for file in (sys.stdout, sys.stderr):
        try:
            file.flush()
        except Exception:
            pass
    os._exit(code)


class Lines(object):
    """One stream. Lines of a request go to the shim with its id, all else to the descriptor."""

    def __init__(self, channel, held, name, descriptor):
        self.channel, self.held, self.descriptor = channel, held, descriptor
        self.meta = ('{"stream":"%s"}' % name).encode("ascii")
        self.lock = allocate_lock()
        # Of each request, what has no end of line yet.
        self.begun = {}

    def write(self, data):
        number = request()
        if number not in self.held or self.channel.is_inherited():
            return self.write_plainly(data)
        with self.lock:
            data = self.begun.pop(number, b"") + data
            end = data.rfind(b"\n") + 1
            if end < len(data):
                self.begun[number] = data[end:]
            if end:
                # Under the lock: a request's lines are in order.
                self.channel.send(LOG, number, self.meta, data[:end])

    def write_plainly(self, data):
        while data:
            data = data[os.write(self.descriptor, data):]

    def finish(self, number):
        """The request has ended: what is there of a line is one."""
        if self.begun:
            with self.lock:
                rest = self.begun.pop(number, None)
            if rest:
                self.channel.send(LOG, number, self.meta, rest + b"\n")

    def after_fork(self):
        self.lock = allocate_lock()
        self.begun = {}


class Output(object):
    """Both streams, in place of `sys.stdout` and `sys.stderr`."""

    def __init__(self, channel, held):
        self.out = Lines(channel, held, "stdout", 1)
        self.err = Lines(channel, held, "stderr", 2)
        sys.stdout = text_file(self.out, sys.stdout)
        sys.stderr = text_file(self.err, sys.stderr)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.after_fork)

    def finish(self, number):
        self.out.finish(number)
        self.err.finish(number)

    def after_fork(self):
        self.out.after_fork()
        self.err.after_fork()


if NEW:
    import io

    class Bytes(io.RawIOBase):
        """`sys.stdout.buffer`."""

        def __init__(self, lines, name):
            self.lines, self.name, self.mode = lines, name, "wb"

        def writable(self):
            return True

        def fileno(self):
            return self.lines.descriptor

        def isatty(self):
            return False

        def write(self, data):
            data = bytes(data)
            self.lines.write(data)
            return len(data)

        def close(self):
            pass

    def text_file(lines, was):
        file = io.TextIOWrapper(Bytes(lines, was.name), was.encoding, was.errors, newline="\n", write_through=True)
        file.mode = "w"
        return file
else:
    class Text(object):
        """A file of Python 2.7, as far as print and the logging module know one."""
        softspace = 0
        closed = False
        mode = "w"
        newlines = None

        def __init__(self, lines, was):
            self.lines, self.name, self.encoding, self.errors = lines, was.name, "utf-8", None

        def write(self, text):
            self.lines.write(text.encode("utf-8") if isinstance(text, type(u"")) else str(text))

        def writelines(self, lines):
            for line in lines:
                self.write(line)

        def flush(self):
            pass

        def close(self):
            pass

        def fileno(self):
            return self.lines.descriptor

        def isatty(self):
            return False

    text_file = Text
