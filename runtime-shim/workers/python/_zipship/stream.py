# -*- coding: utf-8 -*-
"""A streamed answer: HEAD with the first piece, DATA as the shim has room, END. What comes before the first piece may
still fail as a whole."""
try:
    from _thread import allocate_lock
except ImportError:
    from thread import allocate_lock
from .answer import Malformed, meta, piece
from .frames import CHUNK, DATA, STREAM_HEAD

# Bytes that may be sent before the shim asks for more.
WINDOW = 262144


class Cancelled(Exception):
    """The shim wants no more of it."""


class Credit(object):
    """Room for a stream's bytes. One thread takes from it, another adds."""

    def __init__(self):
        self.granted, self.used = WINDOW, 0
        self.is_cancelled = False
        self.gate, self.is_waiting = allocate_lock(), False
        self.gate.acquire()

    def left(self):
        if self.is_cancelled:
            raise Cancelled()
        return self.granted - self.used

    def wait(self):
        """Returns when there is room; raises Cancelled."""
        while self.left() <= 0:
            self.is_waiting = True
            if self.left() <= 0:
                self.gate.acquire()

    def add(self, length):
        self.granted += length
        self.open()

    def cancel(self):
        self.is_cancelled = True
        self.open()

    def open(self):
        if self.is_waiting:
            self.is_waiting = False
            try:
                self.gate.release()
            except Exception:  # it is open: whoever waited went on without it
                pass


class Sender(object):
    """The frames of one stream; `parts` says when there is room for each."""

    def __init__(self, channel, number, code, headers, credit):
        self.channel, self.number, self.code, self.headers = channel, number, code, headers
        self.credit = credit
        self.has_begun = False

    def parts(self, value):
        """The frames of one piece of the handler's, lazily: before each but an empty first there must be room."""
        data, kind = piece(value)
        if kind is None:
            raise Malformed("a piece of the handler's stream is of type %s; it must be text or bytes" % type(value).__name__)
        at = 0
        while at < len(data) or not self.has_begun:
            room = min(self.credit.left(), CHUNK)
            if room <= 0 and data:
                yield None  # wait
                continue
            part = data[at:at + room]
            at += len(part)
            self.credit.used += len(part)
            if self.has_begun:
                yield DATA, b"", part
            else:
                self.has_begun = True
                yield STREAM_HEAD, meta(self.code, self.headers, kind), part

    def begin_empty(self):
        """HEAD of a stream without a piece."""
        if not self.has_begun:
            self.has_begun = True
            self.channel.send(STREAM_HEAD, self.number, meta(self.code, self.headers, None))


def send_all(sender, source):
    """Sends an iterator's pieces and closes it. Raises what it raises, and Cancelled."""
    try:
        for value in source:
            for part in sender.parts(value):
                if part is None:
                    sender.credit.wait()
                else:
                    sender.channel.send(part[0], sender.number, part[1], part[2])
            sender.credit.left()
        sender.begin_empty()
    finally:
        close = getattr(source, "close", None)
        if close is not None:
            close()
