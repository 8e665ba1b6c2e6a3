"""A worker that does what a script says, frame by frame: the script is the function's handler file."""
import json
import os
import socket
import struct
import sys
import threading
import time

HEAD = struct.Struct("<IBBHII")
(HELLO, SPECIALISE, SPECIALISED, REQUEST, ANSWER, ERROR, CANCEL, CANCELLED, PING, PONG,
 HEAD_FRAME, DATA, END, CREDIT, LOG) = range(1, 16)
WINDOW = 262144
PIECE = b"x" * 65536

sock = socket.socket(fileno=3)
lock = threading.Lock()
credits = {}
given = threading.Condition()


def send(kind, number=0, meta=None, body=b"", flags=0):
    text = b"" if meta is None else json.dumps(meta).encode("ascii")
    head = HEAD.pack(12 + len(text) + len(body), kind, flags, 0, number, len(text))
    with lock:
        sock.sendall(head + text + body)


def exactly(length):
    data = b""
    while len(data) < length:
        got = sock.recv(length - len(data))
        if not got:
            os._exit(0)
        data += got
    return data


def read():
    length, kind, flags, _, number, meta = HEAD.unpack(exactly(16))
    rest = exactly(length - 12)
    return kind, flags, number, json.loads(rest[:meta]) if meta else None, rest[meta:]


def answer(number, text="served", status=200):
    send(ANSWER, number, {"status": status, "headers": [["Content-Type", "text/plain"]]}, text.encode())


def begin(number, body=b"", status=200):
    credits[number] = WINDOW - len(body)
    send(HEAD_FRAME, number, {"status": status, "headers": [["Content-Type", "text/plain"]]}, body)


def flow(number, body):
    """Sends when there is credit. Says so when there is none for a while."""
    with given:
        while credits[number] < len(body):
            if not given.wait(0.5) and credits[number] < len(body):
                print("no credit", flush=True)
                given.wait()
        credits[number] -= len(body)
    send(DATA, number, None, body)


def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.002)


def aside(job, *arguments):
    threading.Thread(target=job, args=arguments, daemon=True).start()


def on_request(number, path, body):
    answer(number)


def on_cancel(number, flags):
    print("cancel %d" % flags, flush=True)
    send(CANCELLED, number)


def serve():
    send(HELLO, 0, {"version": 1, "pid": os.getpid(), "language": "python", "runtime": "scripted"})
    while True:
        kind, flags, number, meta, body = read()
        if kind == SPECIALISE:
            os.chdir(meta["directory"])
            with open("handler.py") as script:
                exec(compile(script.read(), "handler.py", "exec"), globals())
            send(SPECIALISED, 0, {"ok": True})
        elif kind == PING:
            send(PONG, number)
        elif kind == REQUEST:
            on_request(number, meta["event"]["path"], body)
        elif kind == CANCEL:
            on_cancel(number, flags)
        elif kind == CREDIT:
            with given:
                credits[number] = credits.get(number, 0) + meta["bytes"]
                given.notify_all()


serve()
