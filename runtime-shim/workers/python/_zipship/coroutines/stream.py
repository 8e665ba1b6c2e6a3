# -*- coding: utf-8 -*-
"""A streamed answer whose source is asynchronous."""
import asyncio
from ..stream import Credit


class LoopCredit(Credit):
    """Room for a stream's bytes; who waits for it holds up nobody. Any thread may add."""

    def __init__(self, loop):
        super(LoopCredit, self).__init__()
        self.loop, self.event = loop, asyncio.Event()
        self.task = asyncio.current_task()

    async def wait(self):
        while self.left() <= 0:
            self.event.clear()
            if self.left() <= 0:
                await self.event.wait()

    def open(self):
        self.loop.call_soon_threadsafe(self.event.set)

    def cancel(self):
        self.is_cancelled = True
        self.loop.call_soon_threadsafe(self.task.cancel)


async def send_all(sender, source):
    """Sends the pieces of an asynchronous iterable and closes it. Raises what it raises, and Cancelled."""
    iterator = source.__aiter__()
    try:
        async for value in iterator:
            for part in sender.parts(value):
                if part is None:
                    await sender.credit.wait()
                else:
                    sender.channel.send(part[0], sender.number, part[1], part[2])
            sender.credit.left()
        sender.begin_empty()
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
