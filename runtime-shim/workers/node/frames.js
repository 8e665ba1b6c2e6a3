'use strict';
// The frame codec; runtime-shim/PROTOCOL.md describes it. Runs on node 8 and later.

const HEAD = 16;
const KIND = {
  HELLO: 1, SPECIALISE: 2, SPECIALISED: 3, REQUEST: 4, ANSWER: 5,
  ERROR: 6, CANCEL: 7, CANCELLED: 8, PING: 9, PONG: 10,
};

// ASCII only: everything else as \uXXXX.
function ascii(value) {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, function (c) {
    return '\\u' + ('000' + c.charCodeAt(0).toString(16)).slice(-4);
  });
}

// Head and meta in one buffer; the body follows on the wire. `meta` is ASCII text.
function head(kind, flags, id, meta, bodyLength) {
  const buffer = Buffer.allocUnsafe(HEAD + meta.length);
  buffer.writeUInt32LE(HEAD - 4 + meta.length + bodyLength, 0);
  buffer.writeUInt8(kind, 4);
  buffer.writeUInt8(flags, 5);
  buffer.writeUInt16LE(0, 6);
  buffer.writeUInt32LE(id, 8);
  buffer.writeUInt32LE(meta.length, 12);
  buffer.write(meta, HEAD, meta.length, 'latin1');
  return buffer;
}

// Takes chunks, gives frames. Joins the chunks of a frame once, when it is whole.
function Decoder(onFrame) {
  let chunks = [];
  let have = 0;
  let need = HEAD;
  this.push = function (chunk) {
    chunks.push(chunk);
    have += chunk.length;
    while (have >= need) {
      const buffer = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, have);
      let at = 0;
      need = HEAD;
      while (buffer.length - at >= HEAD) {
        const whole = 4 + buffer.readUInt32LE(at);
        if (buffer.length - at < whole) {
          need = whole;
          break;
        }
        const metaLength = buffer.readUInt32LE(at + 12);
        const bodyStart = at + HEAD + metaLength;
        onFrame({
          kind: buffer.readUInt8(at + 4),
          flags: buffer.readUInt8(at + 5),
          id: buffer.readUInt32LE(at + 8),
          meta: buffer.latin1Slice(at + HEAD, bodyStart),
          body: buffer.slice(bodyStart, at + whole),
        });
        at += whole;
      }
      have = buffer.length - at;
      chunks = have > 0 ? [buffer.slice(at)] : [];
    }
  };
}

module.exports = { KIND: KIND, Decoder: Decoder, ascii: ascii, head: head };
