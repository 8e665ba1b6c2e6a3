# -*- coding: utf-8 -*-
"""The socket to the shim: one thread reads, any thread writes."""
import os
import _socket
try:
    from _thread import allocate_lock
except ImportError:
    from thread import allocate_lock
from .documents import NEW
from .frames import CHUNK, Reader, head

# What is read by exactly one write of the kernel's: more is not copied together before.
LARGE = CHUNK
NO_WAIT = _socket.MSG_DONTWAIT


class Channel(object):
    def __init__(self, sock):
        self.sock = sock
        self.lock = allocate_lock()
        self.reader = Reader(self.patient(sock.recv), self.patient(sock.recv_into))
        # Frames that wait for `flush`: only the thread that reads adds to them and takes them.
        self.waiting = []
        self.is_ours = True
        self.pid = os.getpid()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.disown)

    @classmethod
    def inherited(cls, number):
        """The channel on an inherited descriptor, which programs that a handler starts do not get."""
        if NEW:
            os.set_inheritable(number, False)
            sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, number)
            sock.setblocking(True)
        else:
            sock = _socket.fromfd(number, _socket.AF_UNIX, _socket.SOCK_STREAM)
            os.close(number)
            import fcntl
            fcntl.fcntl(sock.fileno(), fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        return cls(sock)

    @staticmethod
    def patient(receive):
        """Python 2.7 gives up when a signal comes."""
        if NEW:
            return receive

        def again(*arguments):
            import errno
            while True:
                try:
                    return receive(*arguments)
                except _socket.error as error:
                    if error.args[0] != errno.EINTR:
                        raise
        return again

    def disown(self):
        """In a child that a handler forked: the channel is its parent's."""
        self.is_ours = False
        self.waiting = []
        self.lock = allocate_lock()
        self.sock.close()

    def is_inherited(self):
        """Whether this is a child that a handler forked. Python 2.7 tells nobody when it forks."""
        if not NEW and os.getpid() != self.pid:
            self.is_ours = False
        return not self.is_ours

    def check(self):
        """Ends a forked child that has come out of its handler."""
        if self.is_inherited():
            os._exit(0)

    def put(self, kind, number, meta=b"", body=b""):
        """Adds a frame to those that go with the next `flush`."""
        self.waiting.append(head(kind, number, meta, len(body)))
        if len(body) > LARGE:
            self.flush(body)
        elif body:
            self.waiting.append(body)

    def flush(self, *large):
        waiting = self.waiting
        if waiting:
            self.waiting = []
            self.write(b"".join(waiting), *large)

    def write(self, *parts):
        """Nobody's frames come between the parts."""
        if not NEW or not self.is_ours:
            self.check()
        with self.lock:
            for part in parts:
                self.sock.sendall(part)

    def send(self, kind, number, meta=b"", body=b""):
        """Sends a frame at once. For any thread."""
        first = head(kind, number, meta, len(body))
        if len(body) > LARGE:
            self.write(first, body)
        else:
            self.write(first + body)
