# -*- coding: utf-8 -*-
"""The event loop. A coroutine function's worker reads its requests in the loop itself, on the main thread; beside plain
functions that answer with something awaitable, the loop has a thread of its own."""
import asyncio
import sys
from contextvars import copy_context
from ..answer import answer, is_stream, meta
from ..channel import NO_WAIT
from ..frames import ANSWER, CANCELLED, END, REQUEST
from ..output import enter
from ..replies import failure
from ..stream import Cancelled, Sender
from .stream import LoopCredit, send_all

# Coroutines that need not wait are done without another turn of the loop.
EAGER = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Loop(object):
    def __init__(self, worker):
        self.worker, self.channel, self.held = worker, worker.channel, worker.held
        self.loop = asyncio.new_event_loop()
        self.is_reading = False
        self.cancelled = set()
        self.failure = None

    def run_here(self):
        """Reads and serves until the channel's end."""
        self.is_reading = True
        asyncio.set_event_loop(self.loop)
        self.loop.add_reader(self.channel.sock.fileno(), self.read)
        self.read_buffered()
        self.loop.run_forever()
        if self.failure is not None:
            raise self.failure

    def start_thread(self):
        from threading import Thread
        Thread(target=self.run_beside, daemon=True).start()

    def run_beside(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def read(self):
        try:
            if not self.channel.reader.fill(NO_WAIT):
                return self.loop.stop()
            self.read_buffered()
        except (BlockingIOError, InterruptedError):
            pass
        except BaseException as error:
            self.failure = error
            self.loop.stop()

    def read_buffered(self):
        worker, reader = self.worker, self.channel.reader
        frame = reader.take()
        while frame is not None:
            if frame[0] == REQUEST:
                _, flags, number, document, body = frame
                event, context = worker.arguments(flags, document, body)
                self.start(number, self.perform(number, worker.handler, event, context))
            else:
                worker.control(*frame)
            frame = reader.take()

    def start(self, number, coroutine):
        self.held[number] = None
        if self.worker.output is not None:
            enter(number)  # the task takes it along
        task = asyncio.Task(coroutine, loop=self.loop, **EAGER)
        if number in self.held and self.held[number] is None:
            self.held[number] = Running(self, number, task)
        if self.worker.output is not None:
            enter(None)

    def submit(self, number, awaitable):
        self.loop.call_soon_threadsafe(self.start, number, self.perform(number, lambda *_: awaitable, None, None))

    async def perform(self, number, handler, event, context):
        try:
            result = handler(event, context)
            if hasattr(type(result), "__await__"):
                result = await result
            code, headers, body, kind = answer(result)
            if kind is None and is_stream(body):
                reply = await self.stream(number, code, headers, body)
            else:
                reply = ANSWER, meta(code, headers, kind), body
        except asyncio.CancelledError as error:
            if number in self.cancelled:
                reply = CANCELLED, b"", b""
            else:
                reply = failure(error, False) + (b"",)
        except BaseException as error:
            reply = failure(error, False) + (b"",)
        if self.worker.output is not None:
            self.worker.output.finish(number)
        self.held.pop(number, None)
        self.cancelled.discard(number)
        self.reply(number, *reply)

    def reply(self, number, kind, document, body):
        """Answers that are ready in one turn of the loop leave together."""
        if not self.is_reading:
            return self.channel.send(kind, number, document, body)
        if not self.channel.waiting:
            self.loop.call_soon(self.flush)
        self.channel.put(kind, number, document, body)

    def flush(self):
        try:
            self.channel.flush()
        except OSError as error:
            self.failure = error
            self.loop.stop()

    async def stream(self, number, code, headers, source):
        """Sends a stream. The frame that ends it."""
        if not hasattr(type(source), "__aiter__"):
            # An iterator may wait for something: not on the loop.
            stream = copy_context().run, self.worker.stream, number, code, headers, source
            return await self.loop.run_in_executor(None, *stream)
        credit = LoopCredit(self.loop)
        credit.is_cancelled = self.held.get(number) is True
        self.held[number] = credit
        sender = Sender(self.channel, number, code, headers, credit)
        try:
            await send_all(sender, source)
            return END, b"", b""
        except Cancelled:
            return CANCELLED, b"", b""
        except asyncio.CancelledError as error:
            if credit.is_cancelled:
                return CANCELLED, b"", b""
            return failure(error, sender.has_begun) + (b"",)
        except BaseException as error:
            return failure(error, sender.has_begun) + (b"",)


class Running(object):
    """A task, as the worker cancels it."""

    def __init__(self, loop, number, task):
        self.loop, self.number, self.task = loop, number, task

    def cancel(self):
        self.loop.cancelled.add(self.number)
        self.loop.loop.call_soon_threadsafe(self.task.cancel)
