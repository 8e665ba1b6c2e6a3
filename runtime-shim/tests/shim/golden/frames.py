import binascii
import json
import os
import socket
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../../workers/python"))

sys.dont_write_bytecode = True
import worker  # noqa: E402

with open(sys.argv[1]) as file:
    golden = json.load(file)


def check(got, expected, name):
    if got != expected:
        raise SystemExit("%s: %r is not %r" % (name, got, expected))


for one in golden:
    body = binascii.unhexlify(one["body"])
    wire = worker.encode(one["type"], one["flags"], one["id"], one["meta"], body)
    check(binascii.hexlify(wire).decode("ascii"), one["wire"], one["name"])

wire = binascii.unhexlify("".join(one["wire"] for one in golden))
for step in (1, 7, 16, 17, len(wire)):
    ours, theirs = socket.socketpair()
    pieces = [wire[at:at + step] for at in range(0, len(wire), step)]
    sender = threading.Thread(target=lambda: [theirs.sendall(piece) for piece in pieces] and theirs.close())
    sender.start()
    channel = worker.Channel(ours)
    for one in golden:
        frame = channel.read()
        got = [frame.kind, frame.flags, frame.id, frame.meta, binascii.hexlify(frame.body).decode("ascii")]
        check(got, [one["type"], one["flags"], one["id"], one["meta"], one["body"]], one["name"])
    check(channel.read(), None, "the end")
    sender.join()
print("%d frames" % len(golden))
