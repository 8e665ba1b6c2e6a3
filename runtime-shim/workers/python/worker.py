# -*- coding: utf-8 -*-
"""The python worker: frames on descriptor 3; plain functions in a bounded pool of threads, coroutines on one
loop. The main thread reads. Runs on Python 2.7 and 3; PROTOCOL.md describes the frames."""
import base64
import collections
import json
import os
import platform
import socket
import struct
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import zipship_answer  # noqa: E402
import zipship_load  # noqa: E402
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != HERE]

HEAD = struct.Struct("<IBBHII")
HELLO, SPECIALISE, SPECIALISED, REQUEST, ANSWER, ERROR, CANCEL, CANCELLED, PING, PONG = range(1, 11)
TEXT = 1
TIMED_OUT = 1
Frame = collections.namedtuple("Frame", "kind flags id meta body")


def encode(kind, flags, number, meta, body=b""):
    """A frame's bytes. `meta` is ASCII text."""
    meta = meta.encode("ascii")
    return HEAD.pack(12 + len(meta) + len(body), kind, flags, 0, number, len(meta)) + meta + body


class Channel(object):
    """Frames over a socket: one reader, any number of writers."""

    def __init__(self, sock):
        self.sock = sock
        self.lock = threading.Lock()

    def exactly(self, length):
        data = bytearray(length)
        view, have = memoryview(data), 0
        while have < length:
            got = self.sock.recv_into(view[have:], length - have)
            if got == 0:
                return None
            have += got
        return data

    def read(self):
        head = self.exactly(HEAD.size)
        if head is None:
            return None
        length, kind, flags, _, number, meta = HEAD.unpack(bytes(head))
        rest = self.exactly(length - 12)
        if rest is None:
            return None
        view = memoryview(rest)
        return Frame(kind, flags, number, view[:meta].tobytes().decode("ascii"), view[meta:].tobytes())

    def send(self, kind, number, meta=None, body=b""):
        data = encode(kind, 0, number, "" if meta is None else json.dumps(meta), body)
        with self.lock:
            self.sock.sendall(data)


class Context(dict):
    """The platform's keys, and AWS's attributes."""

    def __init__(self, about, meta):
        name, version, memory = about["name"], about["version"], about["memory_mb"]
        super(Context, self).__init__(memoryLimitInMb=memory, functionName=name, functionVersion=version)
        self.function_name = name
        self.function_version = version
        self.memory_limit_in_mb = memory
        self.aws_request_id = meta["request_id"]
        self.invoked_function_arn = ""
        self.log_group_name = ""
        self.log_stream_name = ""
        self.identity = None
        self.client_context = None
        self._deadline = time.time() + meta["remaining_ms"] / 1000.0

    def get_remaining_time_in_millis(self):
        return max(0, int((self._deadline - time.time()) * 1000))


class Pool(object):
    """At most `limit` threads, started when they are needed."""

    def __init__(self, limit):
        self.limit, self.threads, self.idle = limit, 0, 0
        self.jobs, self.ready = collections.deque(), threading.Condition()

    def run(self, job):
        with self.ready:
            self.jobs.append(job)
            if self.idle >= len(self.jobs):
                self.ready.notify()
                return
            grow = self.threads < self.limit
            self.threads += grow
        if grow:
            thread = threading.Thread(target=self.work)
            thread.daemon = True
            thread.start()

    def work(self):
        while True:
            with self.ready:
                self.idle += 1
                while not self.jobs:
                    self.ready.wait()
                self.idle -= 1
                job = self.jobs.popleft()
            job()


class Loop(object):
    """One event loop in a thread of its own, started with the first coroutine."""

    def __init__(self):
        self.loop, self.lock = None, threading.Lock()

    def submit(self, awaitable):
        import asyncio
        with self.lock:
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self.run)
                thread.daemon = True
                thread.start()
        return asyncio.run_coroutine_threadsafe(awaitable, self.loop)

    def run(self):
        import asyncio
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


def is_coroutine(value):
    if sys.version_info[0] == 2:
        return False
    import inspect
    return inspect.iscoroutine(value)


class Worker(object):
    def __init__(self, channel):
        self.channel = channel
        self.handler = self.about = self.pool = None
        self.is_async = False
        self.loop = Loop()
        self.futures = {}

    def serve(self):
        self.channel.send(HELLO, 0, {"version": 1, "pid": os.getpid(), "language": "python",
                                     "runtime": platform.python_version()})
        while True:
            frame = self.channel.read()
            if frame is None:
                return
            self.dispatch(frame)

    def dispatch(self, frame):
        if frame.kind == REQUEST:
            self.invoke(frame)
        elif frame.kind == PING:
            self.channel.send(PONG, frame.id)
        elif frame.kind == CANCEL and frame.flags & TIMED_OUT:
            future = self.futures.get(frame.id)
            if future is not None:
                future.cancel()
        elif frame.kind == SPECIALISE:
            self.specialise(json.loads(frame.meta))

    def specialise(self, meta):
        try:
            directory = meta["directory"]
            self.about = meta["function"]
            for name, value in meta["environment"].items():
                os.environ[str(name)] = str(value)
            os.chdir(directory)
            sys.path[0:0] = [directory, os.path.join(directory, "package")]
            self.handler = zipship_load.load(directory, meta["handler"])
            if sys.version_info[0] > 2:
                import inspect
                self.is_async = inspect.iscoroutinefunction(self.handler)
            self.pool = Pool(meta["max_concurrency"])
            self.channel.send(SPECIALISED, 0, {"ok": True})
        except BaseException as error:  # SystemExit at import is a failed import too
            traceback.print_exc()
            self.channel.send(SPECIALISED, 0, {"ok": False, "error": self.cause(error), "error_type": type(error).__name__})

    @staticmethod
    def cause(error):
        if isinstance(error, zipship_load.NotThere):
            return str(error)
        text = "".join(traceback.format_exception_only(type(error), error)).strip()
        if "musl" in text:
            text += " (this base uses glibc: build dependencies with python-dep3)"
        return text

    def invoke(self, frame):
        meta = json.loads(frame.meta)
        event = meta["event"]
        if frame.flags & TEXT:
            event["body"], event["isBase64Encoded"] = frame.body.decode("utf-8"), False
        else:
            event["body"], event["isBase64Encoded"] = base64.b64encode(frame.body).decode("ascii"), True
        context = Context(self.about, meta)
        if self.is_async:
            self.on_loop(frame.id, self.handler(event, context))
        else:
            self.pool.run(lambda: self.call(frame.id, event, context))

    def call(self, number, event, context):
        try:
            result = self.handler(event, context)
        except BaseException as error:
            return self.thrown(number, error)
        if is_coroutine(result):
            return self.on_loop(number, result)
        self.finish(number, result)

    def on_loop(self, number, awaitable):
        future = self.loop.submit(awaitable)
        self.futures[number] = future
        future.add_done_callback(lambda done: self.settled(number, done))

    def settled(self, number, future):
        self.futures.pop(number, None)
        if future.cancelled():
            return self.channel.send(CANCELLED, number)
        error = future.exception()
        if error is not None:
            return self.thrown(number, error)
        self.finish(number, future.result())

    def finish(self, number, result):
        try:
            status, headers, body = zipship_answer.answer(result)
        except zipship_answer.Malformed as error:
            sys.stderr.write("%s\n" % error)
            return self.error(number, "malformed", str(error), "Runtime.MalformedAnswer")
        except BaseException as error:
            return self.thrown(number, error)
        self.channel.send(ANSWER, number, {"status": status, "headers": headers}, body)

    def thrown(self, number, error):
        parts = (type(error), error, getattr(error, "__traceback__", None) or sys.exc_info()[2])
        sys.stderr.write("".join(traceback.format_exception(*parts)))
        sys.stderr.flush()
        self.error(number, "thrown", str(error), type(error).__name__)

    def error(self, number, kind, message, name):
        self.channel.send(ERROR, number, {"kind": kind, "message": message, "error_type": name})


def main():
    sock = socket.fromfd(3, socket.AF_UNIX, socket.SOCK_STREAM)
    os.close(3)
    sock.setblocking(True)
    if sys.version_info[0] == 2:
        import fcntl
        fcntl.fcntl(sock, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    try:
        Worker(Channel(sock)).serve()
    except (OSError, socket.error):
        pass  # the shim has gone
    sys.stdout.flush()
    os._exit(0)  # handlers that still run do not hold up the end


if __name__ == "__main__":
    main()
