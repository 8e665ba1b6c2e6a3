'use strict';
// The frame codec; runtime-shim/PROTOCOL.md describes it. Runs on node 8 and later.

const HEAD = 16;
// From so many missing bytes on a frame is read in place.
const MUCH = 65536;
const KIND = {
  HELLO: 1, SPECIALISE: 2, SPECIALISED: 3, REQUEST: 4, ANSWER: 5,
  ERROR: 6, CANCEL: 7, CANCELLED: 8, PING: 9, PONG: 10,
  HEAD: 11, DATA: 12, END: 13, CREDIT: 14, LOG: 15,
};

// ASCII only: everything else as \uXXXX.
function ascii(value) {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, function (c) {
    return '\\u' + ('000' + c.charCodeAt(0).toString(16)).slice(-4);
  });
}

// Writes head and meta; the body follows at the place that is returned. `meta` is ASCII text.
function writeHead(buffer, at, kind, flags, id, meta) {
  buffer[at + 4] = kind;
  buffer[at + 5] = flags;
  buffer[at + 6] = 0;
  buffer[at + 7] = 0;
  buffer.writeUInt32LE(id, at + 8);
  buffer.writeUInt32LE(meta.length, at + 12);
  if (meta.length > 0) buffer.latin1Write(meta, at + HEAD, meta.length);
  return at + HEAD + meta.length;
}

// Writes the length, once it is known where the body ends.
function writeLength(buffer, at, end) {
  buffer.writeUInt32LE(end - at - 4, at);
}

// Head and meta in one buffer; the body follows on the wire.
function head(kind, flags, id, meta, bodyLength) {
  const buffer = Buffer.allocUnsafe(HEAD + meta.length);
  writeHead(buffer, 0, kind, flags, id, meta);
  writeLength(buffer, 0, buffer.length + bodyLength);
  return buffer;
}

// Takes chunks, gives frames. A chunk's memory, and with it a frame's body, is good until `push` returns. A frame that
// comes in several chunks is copied once, into memory of its size, or read there without a copy: `room`, `took`.
function Decoder(onFrame) {
  const start = Buffer.alloc(HEAD);
  let frame = start;
  let have = 0;

  function take(buffer, at, whole) {
    const bodyStart = at + HEAD + buffer.readUInt32LE(at + 12);
    onFrame({
      kind: buffer[at + 4],
      flags: buffer[at + 5],
      id: buffer.readUInt32LE(at + 8),
      meta: buffer.latin1Slice(at + HEAD, bodyStart),
      body: buffer.slice(bodyStart, at + whole),
    });
  }

  // Adds to the frame that is not whole yet; returns how far it came in the chunk.
  function fill(chunk, at) {
    const end = Math.min(chunk.length, at + frame.length - have);
    chunk.copy(frame, have, at, end);
    grow(end - at);
    return end;
  }

  function grow(length) {
    have += length;
    if (have < frame.length) return;
    if (frame === start) {
      frame = Buffer.allocUnsafe(4 + start.readUInt32LE(0));
      start.copy(frame);
    }
    if (have === frame.length) {
      const whole = frame;
      frame = start;
      have = 0;
      take(whole, 0, whole.length);
    }
  }

  // Where the rest of a frame belongs of which much is to come; else null.
  this.room = function () {
    return frame.length - have >= MUCH ? frame.slice(have) : null;
  };

  // So many bytes were read to where `room` said, as the next ones.
  this.took = grow;

  this.push = function (chunk) {
    let at = 0;
    while (at < chunk.length) {
      const left = chunk.length - at;
      const whole = have === 0 && left >= HEAD ? 4 + chunk.readUInt32LE(at) : Infinity;
      if (whole <= left) {
        take(chunk, at, whole);
        at += whole;
      } else {
        at = fill(chunk, at);
      }
    }
  };
}

module.exports = {
  HEAD: HEAD, KIND: KIND, Decoder: Decoder, ascii: ascii, head: head, writeHead: writeHead, writeLength: writeLength,
};
