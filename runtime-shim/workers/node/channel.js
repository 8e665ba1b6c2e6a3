'use strict';
// Descriptor 3, both ways. What is sent in one turn of the loop goes out in one write.

const fs = require('fs');
const net = require('net');
const frames = require('./frames.js');

// Kept, since user code may replace them.
const writeSync = fs.writeSync;
const soon = setImmediate;

const DESCRIPTOR = 3;
const READ = 65536;
const POOL = 65536;
// Frames up to this size are gathered; larger bodies are written from where they are.
const SMALL = 16384;
// How long the last bytes may take to go out.
const LAST_MS = 1000;

let socket = null;
let onClosed = null;
// Small frames: written up to `start`, filled up to `end`.
let pool = Buffer.allocUnsafe(POOL);
let start = 0;
let end = 0;
// Before what is in the pool.
const queue = [];
let queued = 0;
let scheduled = false;
// What the socket writes because the kernel had no room.
let underway = null;

function open(onFrame, closed) {
  onClosed = closed;
  const decoder = new frames.Decoder(onFrame);
  // Newer versions read into this memory again and again, and a large frame into its own; older ones make a buffer
  // for each read.
  const memory = Buffer.allocUnsafe(READ);
  let place = null;
  let readsHere = false;
  const onread = {
    // Nothing: the same place as before.
    buffer: function () {
      const next = decoder.room() || memory;
      if (next === place) return null;
      place = next;
      return next;
    },
    callback: function (length, read) {
      readsHere = true;
      if (read === memory) decoder.push(memory.slice(0, length));
      else decoder.took(length);
      return true;
    },
  };
  socket = new net.Socket({ fd: DESCRIPTOR, readable: true, writable: true, onread: onread });
  socket.on('data', function (chunk) {
    if (!readsHere) decoder.push(chunk);
  });
  socket.on('end', closed);
  socket.on('error', closed);
  process.on('exit', drain);
}

// `meta` is an object or null; `body` text, bytes or null.
function send(kind, id, meta, body, flags) {
  const text = meta === null ? '' : frames.ascii(meta);
  const isText = typeof body === 'string';
  // The most that it can take.
  const size = frames.HEAD + text.length + (body ? body.length * (isText ? 3 : 1) : 0);
  if (size > SMALL) return sendLarge(kind, id, text, isText ? Buffer.from(body, 'utf8') : body, flags);
  if (end + size > POOL) {
    rotate();
    pool = Buffer.allocUnsafe(POOL);
    start = end = 0;
  }
  let at = frames.writeHead(pool, end, kind, flags || 0, id, text);
  if (isText) at += pool.utf8Write(body, at);
  else if (body) at += body.copy(pool, at);
  frames.writeLength(pool, end, at);
  end = at;
  return schedule();
}

function sendLarge(kind, id, text, body, flags) {
  rotate();
  add(frames.head(kind, flags || 0, id, text, body ? body.length : 0));
  if (body) add(body);
  return schedule();
}

function rotate() {
  if (end > start) add(pool.slice(start, end));
  start = end;
}

function add(bytes) {
  queue.push(bytes);
  queued += bytes.length;
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  soon(flush);
}

// Written at once where the kernel has room: that is cheaper than a stream, and done when it returns.
function flush() {
  scheduled = false;
  if (underway) return;
  rotate();
  while (queue.length > 0) {
    const bytes = queue.shift();
    queued -= bytes.length;
    const written = write(bytes);
    if (written < bytes.length) return later(bytes.slice(written));
  }
}

function write(bytes) {
  try {
    return writeSync(DESCRIPTOR, bytes, 0, bytes.length);
  } catch (error) {
    if (error.code === 'EAGAIN') return 0;
    // The shim has gone; nobody reads the rest either.
    onClosed();
    return bytes.length;
  }
}

function later(bytes) {
  underway = bytes;
  socket.write(bytes, function () {
    underway = null;
    flush();
  });
}

// The process ends: what is there goes out first, without the loop.
function drain() {
  rotate();
  const until = Date.now() + LAST_MS;
  if (underway) {
    const left = socket._handle && socket._handle.writeQueueSize;
    queue.unshift(underway.slice(underway.length - Math.min(left || 0, underway.length)));
  }
  while (queue.length > 0 && Date.now() < until) {
    const written = write(queue[0]);
    if (written === queue[0].length) queue.shift();
    else queue[0] = queue[0].slice(written);
  }
  queue.length = 0;
}

// Bytes that the shim has not taken yet.
function backlog() {
  return queued + end - start + (underway ? underway.length : 0);
}

module.exports = { open: open, send: send, backlog: backlog };
