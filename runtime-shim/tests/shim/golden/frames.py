import binascii
import json
import os
import socket
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../../workers/python"))

sys.dont_write_bytecode = True
from _zipship import frames  # noqa: E402

with open(sys.argv[1]) as file:
    golden = json.load(file)


def check(got, expected, name):
    if got != expected:
        raise SystemExit("%s: %r is not %r" % (name, got, expected))


for one in golden:
    body = binascii.unhexlify(one["body"])
    wire = frames.encode(one["type"], one["flags"], one["id"], one["meta"].encode("ascii"), body)
    check(binascii.hexlify(wire).decode("ascii"), one["wire"], one["name"])

# A frame that is too large to be copied is read in another way.
large = {"type": 4, "flags": 1, "id": 9, "meta": "{}", "body": "61" * 200000, "name": "a large one"}
large["wire"] = binascii.hexlify(frames.encode(4, 1, 9, b"{}", b"a" * 200000)).decode("ascii")
given = golden + [large] + golden
wire = binascii.unhexlify("".join(one["wire"] for one in given))


def send(pieces, sock):
    for piece in pieces:
        sock.sendall(piece)
    sock.close()


for step in (7, 16, 17, 4096, len(wire)):
    ours, theirs = socket.socketpair()
    pieces = [wire[at:at + step] for at in range(0, len(wire), step)]
    sender = threading.Thread(target=send, args=(pieces, theirs))
    sender.start()
    reader = frames.Reader(ours.recv, ours.recv_into)
    for one in given:
        frame = reader.take()
        while frame is None:
            check(reader.fill(), True, one["name"])
            frame = reader.take()
        kind, flags, number, meta, body = frame
        got = [kind, flags, number, meta.decode("ascii"), binascii.hexlify(body).decode("ascii")]
        check(got, [one["type"], one["flags"], one["id"], one["meta"], one["body"]], one["name"])
    check([reader.take(), reader.fill()], [None, False], "the end")
    sender.join()
print("%d frames" % len(golden))
