'use strict';
// What is written to standard output and error inside an invocation goes to the shim as LOG frames, with the request's
// number. Everything else, and what is too much for the channel, stays on the pipes.

const KIND = require('./frames.js').KIND;
const channel = require('./channel.js');
const scope = require('./scope.js');

// Bytes that may wait for the shim: beyond it the pipes, which hold up whoever writes.
const MOST_WAITING = 32 << 20;
// A line that goes on and on is cut here.
const LONGEST = 16 << 20;
const NEWLINE = 10;

// Puts the capture in place when the stream is first used: making one takes time.
function capture(name) {
  const property = Object.getOwnPropertyDescriptor(process, name);
  let patched = false;
  Object.defineProperty(process, name, {
    configurable: true,
    enumerable: property.enumerable,
    get: function () {
      const stream = property.get ? property.get.call(process) : property.value;
      if (!patched) {
        patched = true;
        patch(stream, name);
      }
      return stream;
    },
    set: property.set,
  });
}

function patch(stream, name) {
  const original = stream.write;
  stream.write = function (chunk, encoding, callback) {
    const invocation = scope.current();
    const isText = typeof chunk === 'string';
    const isTaken = invocation && (isText || chunk instanceof Uint8Array) && chunk.length > 0;
    if (!isTaken || channel.backlog() > MOST_WAITING) {
      return original.apply(this, arguments);
    }
    const bytes = isText ? Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8') : Buffer.from(chunk);
    lineOf(invocation, name).add(bytes);
    const done = typeof encoding === 'function' ? encoding : callback;
    if (typeof done === 'function') process.nextTick(done);
    return true;
  };
}

function lineOf(invocation, name) {
  if (!invocation.lines) invocation.lines = {};
  if (!invocation.lines[name]) invocation.lines[name] = new Line(invocation.id, name);
  return invocation.lines[name];
}

// The line that a request has begun on one of its streams.
function Line(id, name) {
  this.id = id;
  this.meta = { stream: name };
  this.parts = [];
  this.length = 0;
}

// Sends all whole lines.
Line.prototype.add = function (bytes) {
  const last = bytes.lastIndexOf(NEWLINE) + 1;
  if (last > 0) {
    this.parts.push(bytes.slice(0, last));
    this.send();
  }
  if (last === bytes.length) return;
  this.parts.push(bytes.slice(last));
  this.length += bytes.length - last;
  if (this.length > LONGEST) this.end();
};

// Sends the line although it has no end yet.
Line.prototype.end = function () {
  if (this.parts.length === 0) return;
  this.parts.push(Buffer.from([NEWLINE]));
  this.send();
};

Line.prototype.send = function () {
  channel.send(KIND.LOG, this.id, this.meta, this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts));
  this.parts = [];
  this.length = 0;
};

// The request is answered: the lines that it has begun are all there is.
function end(invocation) {
  const lines = invocation.lines;
  if (lines) Object.keys(lines).forEach(function (name) { lines[name].end(); });
}

module.exports = {
  start: function () {
    capture('stdout');
    capture('stderr');
    process.prependListener('exit', function () { require('./invocation.js').running.forEach(end); });
  },
  // Words about an invocation from outside of it.
  line: function (invocation, text) { lineOf(invocation, 'stderr').add(Buffer.from(text, 'utf8')); },
  end: end,
};
