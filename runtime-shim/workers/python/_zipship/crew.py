# -*- coding: utf-8 -*-
"""The threads that serve plain functions. One leads: it reads a request and runs the handler itself, without a switch
between threads. Another stands by and takes the lead when the leader stays in a handler.

The lead lies in `baton` while a handler runs: whoever takes it out leads, the leader that comes back or the thread that
stands by. Quick handlers cost the one that stands by a look now and then (`TICK`), and nothing while no request comes;
after a slow one it is called at each request, so that the next does not wait for a tick."""
import sys
try:
    from _thread import allocate_lock, get_ident, start_new_thread
except ImportError:
    from thread import allocate_lock, get_ident, start_new_thread
import sys
from .context import clock
from .documents import NEW
from .output import end

# Seconds between two looks of the thread that stands by.
TICK = 0.004
# A handler that takes longer (seconds) is slow, and so are the next ones, until this many were not.
SLOW, SUSPICIONS = 0.001, 32
# Answers of handlers that are quicker than this (seconds) leave together.
QUICK = 0.0002


class Crew(object):
    """`work` is called with a frame by the thread that leads, and calls `lead_on` when its handler has returned."""

    def __init__(self, channel, work):
        self.channel, self.work = channel, work
        self.baton = []
        # Has something in it while no thread stands by, nor is on its way.
        self.vacancy = [True]
        self.idle = []
        self.alarm = allocate_lock()
        self.alarm.acquire()
        self.is_asleep, self.is_called, self.turn = False, False, 0
        # Python 2.7 cannot wait for a while.
        self.suspicions = 0 if NEW else SUSPICIONS
        self.took = 0.0
        # The threads that need no event loop made for them: the main thread is one.
        self.with_loop = {get_ident()}
        self.is_settled = False

    def run(self):
        """A thread's life, the main one's too. Returns at the channel's end."""
        while True:
            if not self.lead():
                return
            if not self.enlist():
                seat = allocate_lock()
                seat.acquire()
                self.idle.append(seat)
                seat.acquire()
            self.stand_by()

    def lead(self):
        """Reads frames and hands them on. False at the channel's end, True when another thread has taken the lead."""
        reader, channel = self.channel.reader, self.channel
        while True:
            frame = reader.take()
            if frame is None:
                channel.flush()
                if self.turn and not self.is_settled:
                    self.settle()
                if not reader.fill():
                    return False
            elif not self.work(frame):
                return True

    def leave(self):
        """Called by the leader before a handler: somebody stands by, and may take the lead."""
        if self.vacancy and self.enlist():
            if self.idle:
                self.idle.pop().release()
            else:
                self.start()
        self.turn += 1
        self.baton.append(True)
        if self.suspicions:
            self.call()
        elif self.is_asleep:
            self.wake()
        return clock()

    def lead_on(self, since):
        """Whether the thread still leads, now that its handler has returned."""
        self.took = took = clock() - since
        if took > SLOW:
            self.suspicions = SUSPICIONS
        elif self.suspicions and NEW:
            self.suspicions -= 1
        try:
            self.baton.pop()
        except IndexError:
            return False
        self.is_called = False
        return True

    def call(self):
        """Asks the thread that stands by to take the lead at once."""
        self.is_called = True
        self.wake()

    def wake(self):
        self.is_asleep = False
        try:
            self.alarm.release()
        except Exception:  # it rings already
            pass

    def enlist(self):
        try:
            return self.vacancy.pop()
        except IndexError:
            return False

    def start(self):
        threading = sys.modules.get("threading")
        if threading is None:
            start_new_thread(self.begin, ())
        else:
            thread = threading.Thread(target=self.begin)
            thread.daemon = True
            thread.start()

    def settle(self):
        """After the first answer: the module whose first import must be the main thread's, which it then knows."""
        self.is_settled = True
        if get_ident() in self.with_loop:
            import threading  # noqa: F401

    def begin(self):
        self.stand_by()
        end(self.run)

    def stand_by(self):
        """Returns when this thread is to lead."""
        while True:
            self.is_asleep = True
            if not self.baton:
                self.alarm.acquire()
            self.is_asleep = False
            seen = None
            while True:
                if self.baton and (self.is_called or self.turn == seen) and self.take():
                    return
                if seen == self.turn:
                    break
                seen = self.turn
                if NEW:
                    self.alarm.acquire(True, TICK)
                else:
                    break

    def take(self):
        try:
            self.baton.pop()
        except IndexError:
            return False
        self.is_called = False
        self.vacancy.append(True)
        self.set_loop()
        self.channel.flush()
        return True

    def set_loop(self):
        """Other threads than the main one have no event loop that `asyncio.get_event_loop` would find, and adapters
        of web frameworks count on one."""
        asyncio = sys.modules.get("asyncio")
        # A handler may be importing it right now: then the next time.
        is_whole = NEW and asyncio is not None and not getattr(asyncio.__spec__, "_initializing", False)
        if is_whole and get_ident() not in self.with_loop:
            self.with_loop.add(get_ident())
            asyncio.set_event_loop(asyncio.new_event_loop())
