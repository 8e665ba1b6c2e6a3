'use strict';
// A streamed answer on the channel: HEAD, DATA, END, and never more bytes than the shim has room for.

const answers = require('./answer.js');
const channel = require('./channel.js');
const failure = require('./failure.js');
const KIND = require('./frames.js').KIND;

const WINDOW = 262144;
const PIECE = 65536;

function Sender(invocation, status, headers) {
  this.invocation = invocation;
  this.status = status;
  this.headers = headers;
  this.hasBegun = false;
  this.isOver = false;
  this.credit = WINDOW;
  // What waits for credit, and who waits for it.
  this.rest = null;
  this.then = null;
}

// The bytes of a piece; throws Malformed.
function bytesOf(piece) {
  if (typeof piece === 'string') return Buffer.from(piece, 'utf8');
  const bytes = answers.bytesOf(piece);
  if (bytes) return bytes;
  if (piece instanceof ArrayBuffer) return Buffer.from(piece);
  throw new answers.Malformed('a piece of the handler\'s stream is neither text nor bytes: ' + typeof piece);
}

// Sends a piece; calls `then` once all of it is on its way. One at a time. An empty first one sends the head ahead.
Sender.prototype.write = function (piece, then) {
  const bytes = bytesOf(piece);
  if (!this.hasBegun && !answers.hasType(this.headers)) {
    this.headers.push(['Content-Type', typeof piece === 'string' ? answers.TEXT : answers.BINARY]);
  }
  if (!this.hasBegun && bytes.length === 0) this.begin(null);
  this.rest = bytes;
  this.then = then;
  this.pump();
};

Sender.prototype.pump = function () {
  while (this.rest !== null && this.rest.length > 0 && this.credit > 0) {
    const piece = this.rest.slice(0, Math.min(PIECE, this.credit));
    this.rest = this.rest.slice(piece.length);
    this.credit -= piece.length;
    if (this.hasBegun) channel.send(KIND.DATA, this.invocation.id, null, piece);
    else this.begin(piece);
  }
  if (this.rest === null || this.rest.length > 0) return;
  const then = this.then;
  this.rest = this.then = null;
  then();
};

Sender.prototype.begin = function (piece) {
  this.hasBegun = true;
  channel.send(KIND.HEAD, this.invocation.id, { status: this.status, headers: this.headers }, piece);
};

// A CREDIT frame.
Sender.prototype.give = function (bytes) {
  this.credit += bytes;
  this.pump();
};

// The stream is whole.
Sender.prototype.end = function () {
  if (this.isOver) return;
  this.isOver = true;
  if (!this.hasBegun) this.begin(null);
  this.invocation.close();
  channel.send(KIND.END, this.invocation.id, null, null);
};

// It is not: ERROR while nothing was sent, else END with the reason.
Sender.prototype.fail = function (error) {
  if (this.isOver) return this.invocation.log(failure.stackOf(error));
  this.isOver = true;
  this.rest = this.then = null;
  if (!this.hasBegun) return this.invocation.fail(error);
  const told = failure.describe(error);
  const isMalformed = error instanceof answers.Malformed;
  this.invocation.log(isMalformed ? told.message : failure.stackOf(error));
  this.invocation.close();
  channel.send(KIND.END, this.invocation.id, {
    error_type: isMalformed ? 'Runtime.MalformedAnswer' : told.error_type, message: told.message,
  }, null, this.invocation.flags);
};

// Nobody wants the rest.
Sender.prototype.stop = function () {
  this.isOver = true;
  this.rest = this.then = null;
};

module.exports = Sender;
