# -*- coding: utf-8 -*-
"""The frame codec: bytes to frames and back. PROTOCOL.md describes the frames."""
from _struct import Struct

HEAD = Struct("<IBBHII")
HEAD_LENGTH = 16
# What the length field counts of the head: all of it but itself.
COUNTED = 12
(HELLO, SPECIALISE, SPECIALISED, REQUEST, ANSWER, ERROR, CANCEL, CANCELLED, PING, PONG,
 STREAM_HEAD, DATA, END, CREDIT, LOG) = range(1, 16)
# REQUEST: the body is valid UTF-8.
TEXT = 1
# CANCEL: the time is up. Without it only the caller has gone.
TIMED_OUT = 1
# Bytes of one read, and of the frames that are copied out of what was read.
CHUNK = 65536

pack = HEAD.pack


def head(kind, number, meta, body_length, flags=0):
    """A frame's bytes up to its body. `meta` is bytes."""
    return pack(COUNTED + len(meta) + body_length, kind, flags, 0, number, len(meta)) + meta


def encode(kind, flags, number, meta, body=b""):
    """A whole frame's bytes. `meta` is bytes."""
    return head(kind, number, meta, len(body), flags) + body


class Reader(object):
    """Frames out of a socket. Not for two threads at once."""

    def __init__(self, receive, receive_into):
        self.receive, self.receive_into = receive, receive_into
        self.data, self.at = b"", 0
        # A frame that is longer than what was read: its bytes so far.
        self.large, self.have = None, 0

    def take(self):
        """The next frame of those that were read: kind, flags, id, meta and body; or None."""
        data, at = self.data, self.at
        if len(data) - at < HEAD_LENGTH:
            return None
        length, kind, flags, _, number, meta = HEAD.unpack_from(data, at)
        end = at + 4 + length
        if end > len(data):
            return None
        self.at = end
        at += HEAD_LENGTH
        meta += at
        if length > CHUNK:  # not copied again
            view = memoryview(data)
            return kind, flags, number, view[at:meta].tobytes(), view[meta:end]
        return kind, flags, number, data[at:meta], data[meta:end]

    def fill(self, *flags):
        """Reads once. False at the end."""
        if self.large is None:
            rest = self.data[self.at:]
            if len(rest) >= HEAD_LENGTH:
                whole = 4 + HEAD.unpack_from(rest, 0)[0]
                if whole > CHUNK:
                    self.large, self.have = bytearray(whole), len(rest)
                    self.large[:len(rest)] = rest
                    self.data, self.at = b"", 0
                    return self.fill_large(flags)
            read = self.receive(CHUNK, *flags)
            self.data, self.at = rest + read if rest else read, 0
            return bool(read)
        return self.fill_large(flags)

    def fill_large(self, flags):
        got = self.receive_into(memoryview(self.large)[self.have:], 0, *flags)
        self.have += got
        if self.have == len(self.large):
            self.data, self.large = self.large, None
        return got > 0
