'use strict';
// One call of the handler, from its event to its answer. The first completion counts, later ones are logged.

const answers = require('./answer.js');
const channel = require('./channel.js');
const failure = require('./failure.js');
const KIND = require('./frames.js').KIND;
const scope = require('./scope.js');

// ERROR and END: the process is no longer sound; the shim is to start another for new requests.
const FLAG_REPLACE = 1;

const running = new Map();
let handler = null;
// Whether the handler writes to a stream that it is given.
let isStreaming = false;
let about = null;
// Set when output is sent in frames.
let logs = null;

function Invocation(id, meta) {
  this.id = id;
  this.requestId = meta.request_id;
  this.flags = 0;
  this.done = false;
  // Whether the handler looked at done, succeed or fail.
  this.usesContext = false;
  this.controller = null;
  this.isCancelled = false;
  // What sends a streamed answer.
  this.streaming = null;
  this.lines = null;
}

Invocation.prototype.finish = function (error, value) {
  if (this.done) {
    if (error !== undefined && error !== null) this.log(failure.stackOf(error));
    return this.log('the handler completed ' + this.requestId + ' more than once');
  }
  this.done = true;
  if (running.get(this.id) !== this) return;
  if (error !== undefined && error !== null) return this.fail(error);
  try {
    if (typeof value === 'object' && value !== null && this.isStreamed(value)) return;
    const answer = answers.answer(value);
    this.close();
    channel.send(KIND.ANSWER, this.id, { status: answer.status, headers: answer.headers }, answer.body);
  } catch (problem) {
    this.fail(problem);
  }
};

// Begins to send an answer that comes in pieces: an iterator or stream, as the whole answer or as its body.
Invocation.prototype.isStreamed = function (value) {
  const isEnvelope = answers.isEnvelope(value);
  const body = isEnvelope ? value.body : value;
  if (typeof body !== 'object' || body === null || !comesInPieces(body)) return false;
  const envelope = isEnvelope ? value : {};
  const pieces = require('./pieces.js');
  this.streaming = pieces.send(this, answers.status(envelope.statusCode), isEnvelope ? answers.headersOf(value) : [], body);
  // Nobody waits for it any more.
  if (this.isCancelled) this.cancel(true);
  return true;
};

// ERROR: thrown by the handler, or an answer that HTTP cannot carry.
Invocation.prototype.fail = function (error) {
  this.done = true;
  const isMalformed = error instanceof answers.Malformed;
  const told = failure.describe(error);
  this.log(isMalformed ? told.message : failure.stackOf(error));
  this.close();
  channel.send(KIND.ERROR, this.id, {
    kind: isMalformed ? 'malformed' : 'thrown',
    message: told.message,
    error_type: isMalformed ? 'Runtime.MalformedAnswer' : told.error_type,
  }, null, this.flags);
};

// Its code failed outside of what the handler returned.
Invocation.prototype.breakOff = function (error, flags) {
  this.flags = flags;
  if (this.streaming) this.streaming.fail(error);
  else this.fail(error);
};

// A line on standard error.
Invocation.prototype.log = function (text) {
  if (logs) logs.line(this, text + '\n');
  else process.stderr.write(text + '\n');
};

// The last word about this request is said, or about to be.
Invocation.prototype.close = function () {
  running.delete(this.id);
  if (logs) logs.end(this);
};

Invocation.prototype.isOpen = function () {
  return running.get(this.id) === this;
};

// The caller has gone, or (`timedOut`) has its answer. Only then, and in the middle of a stream, all is let go.
Invocation.prototype.cancel = function (timedOut) {
  this.isCancelled = true;
  if (this.controller) this.controller.abort();
  if (!timedOut && !this.streaming) return;
  this.close();
  if (this.streaming) this.streaming.stop();
  channel.send(KIND.CANCELLED, this.id, null, null);
};

// AWS's object and the platform's.
function Context(invocation, meta) {
  const deadline = Date.now() + meta.remaining_ms;
  this.memoryLimitInMb = about.memory_mb;
  this.memoryLimitInMB = String(about.memory_mb);
  this.functionName = about.name;
  this.functionVersion = about.version;
  this.awsRequestId = meta.request_id;
  this.callbackWaitsForEmptyEventLoop = true;
  this.getRemainingTimeInMillis = function () { return Math.max(0, deadline - Date.now()); };
  Object.defineProperty(this, '_invocation', { value: invocation });
}

function ending(name, make) {
  Object.defineProperty(Context.prototype, name, {
    get: function () {
      this._invocation.usesContext = true;
      return make(this._invocation);
    },
  });
}

ending('done', function (invocation) {
  return function (error, value) { invocation.finish(error, value); };
});
ending('succeed', function (invocation) {
  return function (value) { invocation.finish(null, value); };
});
ending('fail', function (invocation) {
  return function (error) { invocation.finish(error === undefined || error === null ? new Error('fail') : error); };
});

// Made when it is asked for: most handlers do not.
if (typeof AbortController === 'function') {
  Object.defineProperty(Context.prototype, 'signal', {
    get: function () {
      const invocation = this._invocation;
      if (!invocation.controller) {
        invocation.controller = new AbortController();
        if (invocation.isCancelled) invocation.controller.abort();
      }
      return invocation.controller.signal;
    },
  });
}

function comesInPieces(value) {
  if (Array.isArray(value) || answers.bytesOf(value)) return false;
  return (Symbol.asyncIterator !== undefined && typeof value[Symbol.asyncIterator] === 'function') ||
    (typeof value.next === 'function' && typeof value[Symbol.iterator] === 'function') ||
    typeof value.getReader === 'function' ||
    (typeof value.pipe === 'function' && typeof value.read === 'function');
}

// Adapters of web frameworks return a server, or a promise inside an object, and answer through the context.
function isNoAnswer(value) {
  if (typeof value !== 'object' || value === null) return false;
  return (typeof value.listen === 'function' && typeof value.on === 'function') ||
    (Boolean(value.promise) && typeof value.promise.then === 'function');
}

// Whether a handler that returned nothing will answer through the callback or the context.
function answersLater(invocation, context) {
  if (handler.length > 2 || invocation.usesContext || context.callbackWaitsForEmptyEventLoop === false) return true;
  return handler.length === 2 && hasServer();
}

// A server on a socket file inside the process: such an adapter's, which looks at the context only when it is done.
function hasServer() {
  const handles = typeof process._getActiveHandles === 'function' ? process._getActiveHandles() : [];
  return handles.some(function (handle) {
    return typeof handle.getConnections === 'function' && typeof handle.address() === 'string';
  });
}

function thrown(error) {
  return error === undefined || error === null ? new Error(String(error)) : error;
}

function call(invocation, event) {
  const context = new Context(invocation, event.meta);
  try {
    if (isStreaming) return require('./response_stream.js').call(handler, invocation, event.event, context);
    const result = handler(event.event, context, function (error, value) { invocation.finish(error, value); });
    if (result && typeof result.then === 'function') {
      result.then(function (value) {
        // `undefined` after the callback was called is no second answer.
        if (value !== undefined || !invocation.done) invocation.finish(null, value);
      }, function (error) { invocation.finish(thrown(error)); });
    } else if (result !== undefined) {
      if (!isNoAnswer(result)) invocation.finish(null, result);
    } else if (!invocation.done && !answersLater(invocation, context)) {
      invocation.finish(null, undefined);
    }
  } catch (error) {
    invocation.finish(thrown(error));
  }
}

// A REQUEST frame.
function start(frame) {
  const meta = JSON.parse(frame.meta);
  const event = meta.event;
  const isText = (frame.flags & 1) === 1;
  if (frame.body.length > 0) event.body = frame.body.toString(isText ? 'utf8' : 'base64');
  event.isBase64Encoded = !isText;
  const invocation = new Invocation(frame.id, meta);
  running.set(frame.id, invocation);
  scope.run(call, invocation, { event: event, meta: meta });
}

// The function that requests go to, what its context tells, and the logs where output is sent in frames.
function serve(found, described, captured) {
  handler = found;
  isStreaming = found[Symbol.for('aws.lambda.runtime.handler.streaming')] === 'response';
  about = described;
  logs = captured;
}

module.exports = { FLAG_REPLACE: FLAG_REPLACE, running: running, serve: serve, start: start };
