# -*- coding: utf-8 -*-
"""The worker: becomes one function's when the shim says so, and serves its requests."""
import os
import sys
from . import load
from .answer import answer, is_stream, meta
from .channel import Channel
from .context import context_type
from .crew import QUICK, Crew
from .documents import NEW, ascii_object, decode_utf8, scan
from .frames import (ANSWER, CANCEL, CANCELLED, CREDIT, END, HELLO, PING, PONG, REQUEST, SPECIALISE, SPECIALISED, TEXT,
                     TIMED_OUT)
from .output import Output, complain, end, enter
from .replies import failure, trace
from .stream import Cancelled, Credit, Sender, send_all

# What a code object says of coroutine functions, generators made coroutines, and asynchronous generators.
ASYNCHRONOUS = 0x80 | 0x100 | 0x200


def is_asynchronous(handler):
    """Whether calling it starts something for an event loop. What a decorator hides is found out at the call."""
    while type(handler).__name__ in ("method", "partial"):
        handler = getattr(handler, "__func__", None) or handler.func
    code = getattr(handler, "__code__", None)
    if code is None:
        code = getattr(getattr(type(handler), "__call__", None), "__code__", None)
    return code is not None and bool(code.co_flags & ASYNCHRONOUS)


def is_for_loop(value):
    return hasattr(type(value), "__await__") or hasattr(type(value), "__aiter__")


class Worker(object):
    def __init__(self, channel):
        self.channel = channel
        # The invocations that run: id to None, to the Credit of a stream, to a task, or to True once it is cancelled.
        self.held = {}
        self.handler = self.context = self.output = self.crew = self.loop = None

    def serve(self):
        """Returns at the channel's end."""
        runtime = "%d.%d.%d" % sys.version_info[:3]
        self.channel.send(HELLO, 0, ascii_object(version=1, pid=os.getpid(), language="python", runtime=runtime))
        reader = self.channel.reader
        while self.handler is None:
            frame = reader.take()
            if frame is not None:
                self.control(*frame)
            elif not reader.fill():
                return
        if self.loop is not None:
            self.loop.run_here()
        else:
            self.crew = Crew(self.channel, self.work)
            self.crew.run()

    def control(self, kind, flags, number, meta, body):
        """A frame that is no request."""
        if kind == PING:
            self.channel.send(PONG, number)
        elif kind == CREDIT:
            credit = self.held.get(number)
            if isinstance(credit, Credit):
                credit.add(scan(meta.decode("ascii"), 0)[0]["bytes"])
        elif kind == CANCEL:
            self.cancel(number, flags & TIMED_OUT)
        elif kind == SPECIALISE:
            self.specialise(scan(meta.decode("ascii"), 0)[0])

    def cancel(self, number, is_late):
        """A plain function runs on: nothing can stop it. A stream ends in both cases, a coroutine when it is late."""
        if number not in self.held:
            return
        running = self.held[number]
        if isinstance(running, Credit):
            running.cancel()
        elif running is not None and running is not True:
            if is_late:
                running.cancel()
        else:
            self.held[number] = True

    # === the start ===

    def specialise(self, about):
        try:
            for name, value in about["environment"].items():
                os.environ[name if NEW else name.encode("utf-8")] = value if NEW else value.encode("utf-8")
            os.chdir(about["directory"])
            if about.get("log_frames"):
                self.output = Output(self.channel, self.held)
            self.context = context_type(about["function"])
            directory = about["directory"] if NEW else about["directory"].encode("utf-8")
            handler = load.load(directory, about["handler"] if NEW else about["handler"].encode("utf-8"))
        except BaseException as error:  # SystemExit at import is a failed import too
            complain(trace(error, getattr(error, "__traceback__", None) if NEW else sys.exc_info()[2]))
            text = self.cause(error)
            failed = ascii_object(error=text, error_type=type(error).__name__)
            self.channel.send(SPECIALISED, 0, b'{"ok":false,' + failed[1:])
            return
        if NEW:
            import gc
            gc.freeze()
            if is_asynchronous(handler):
                self.loop = self.make_loop()
        self.handler = handler
        self.channel.send(SPECIALISED, 0, b'{"ok":true}')

    @staticmethod
    def cause(error):
        if isinstance(error, load.NotThere):
            return str(error)
        from traceback import format_exception_only
        text = "".join(format_exception_only(type(error), error)).strip()
        if "musl" in text:
            text += " (this base uses glibc: build dependencies with python-dep3)"
        return text

    def make_loop(self):
        from .coroutines.loop import Loop
        return Loop(self)

    # === a request ===

    def arguments(self, flags, document, body):
        """The handler's two arguments, out of a REQUEST."""
        document = scan(document.decode("ascii"), 0)[0]
        event = document["event"]
        if flags & TEXT:
            event["body"], event["isBase64Encoded"] = decode_utf8(body), False
        else:
            from binascii import b2a_base64
            event["body"], event["isBase64Encoded"] = b2a_base64(body).decode("ascii").rstrip("\n"), True
        return event, self.context(document["request_id"], document["remaining_ms"])

    def work(self, frame):
        """What the thread that leads does with a frame. Whether it still leads afterwards."""
        kind, flags, number, document, body = frame
        if kind != REQUEST:
            self.control(*frame)
            return True
        event, context = self.arguments(flags, document, body)
        self.held[number] = None
        if self.output is not None:
            enter(number)
        crew = self.crew
        since = crew.leave()
        try:
            result = self.handler(event, context)
            if NEW and result.__class__ is not dict and is_for_loop(result):
                return self.on_loop(number, result, since)
            code, headers, body, kind = answer(result)
            if kind is None and is_stream(body):
                if is_for_loop(body):
                    return self.on_loop(number, result, since)
                crew.call()
                reply = self.stream(number, code, headers, body)
            else:
                reply = ANSWER, meta(code, headers, kind), body
        except BaseException as error:
            reply = failure(error, False) + (b"",)
        if self.output is not None:
            self.output.finish(number)
            enter(None)
        self.held.pop(number, None)
        if crew.lead_on(since):
            if reply is not None:
                self.channel.put(reply[0], number, reply[1], reply[2])
                if crew.took > QUICK:
                    self.channel.flush()
            return True
        if reply is not None:
            self.channel.send(reply[0], number, reply[1], reply[2])
        return False

    def stream(self, number, code, headers, source):
        """Sends an iterator's pieces. The frame that ends it."""
        credit = Credit()
        if self.held.get(number) is True:
            credit.is_cancelled = True
        self.held[number] = credit
        sender = Sender(self.channel, number, code, headers, credit)
        try:
            send_all(sender, source)
            return END, b"", b""
        except Cancelled:
            return CANCELLED, b"", b""
        except BaseException as error:
            return failure(error, sender.has_begun) + (b"",)

    def on_loop(self, number, result, since):
        """A plain function has answered with something for a loop, which then has a thread of its own."""
        if self.loop is None:
            self.loop = self.make_loop()
            self.loop.start_thread()
        self.loop.submit(number, result)
        if self.output is not None:
            enter(None)
        return self.crew.lead_on(since)


def run():
    worker = Worker(Channel.inherited(3))
    end(worker.serve)
