'use strict';
// The node worker: frames on descriptor 3, any number of invocations at once. Runs on node 8 and later,
// and loads nothing but `net` before it is told which function to serve.

const net = require('net');
const frames = require('./frames.js');
const answers = require('./answer.js');

const KIND = frames.KIND;
const socket = new net.Socket({ fd: 3, readable: true, writable: true });
const running = new Map();
let handler = null;
let about = null;

function send(kind, id, meta, body) {
  const text = meta === null ? '' : frames.ascii(meta);
  const length = body ? body.length : 0;
  const head = frames.head(kind, 0, id, text, length);
  if (length === 0) return socket.write(head);
  if (length <= 16384) return socket.write(Buffer.concat([head, body], head.length + length));
  socket.write(head);
  return socket.write(body);
}

function describe(error) {
  const isError = error !== null && typeof error === 'object' && error.message !== undefined;
  return {
    message: isError ? String(error.message) : String(error),
    error_type: isError ? String(error.name || 'Error') : typeof error,
  };
}

function complain(error) {
  process.stderr.write(String((error && error.stack) || error) + '\n');
}

function specialise(meta) {
  about = meta.function;
  Object.keys(meta.environment).forEach(function (name) { process.env[name] = meta.environment[name]; });
  Promise.resolve().then(function () {
    process.chdir(meta.directory);
    return require('./load.js')(meta.directory, meta.handler);
  }).then(function (found) {
    handler = found;
    send(KIND.SPECIALISED, 0, { ok: true });
  }).catch(function (error) {
    complain(error);
    const told = describe(error);
    let message = told.message.split('\nRequire stack:')[0];
    if (/musl/.test(message)) message += ' (this base uses glibc: install the dependency for it)';
    if (told.error_type !== 'Error') message = told.error_type + ': ' + message;
    send(KIND.SPECIALISED, 0, { ok: false, error: message, error_type: told.error_type });
  });
}

// One invocation: the first completion counts, later ones are logged.
function Invocation(id, requestId) {
  const self = this;
  self.done = false;
  self.controller = typeof AbortController === 'function' ? new AbortController() : null;
  self.finish = function (error, value) {
    if (self.done) {
      process.stderr.write('the handler completed ' + requestId + ' more than once\n');
      return;
    }
    self.done = true;
    if (running.get(id) !== self) return;
    running.delete(id);
    if (error !== undefined && error !== null) {
      complain(error);
      const told = describe(error);
      return send(KIND.ERROR, id, { kind: 'thrown', message: told.message, error_type: told.error_type });
    }
    try {
      const answer = answers.answer(value);
      send(KIND.ANSWER, id, { status: answer.status, headers: answer.headers }, answer.body);
    } catch (failure) {
      complain(failure);
      const message = String(failure && failure.message);
      send(KIND.ERROR, id, { kind: 'malformed', message: message, error_type: 'Runtime.MalformedAnswer' });
    }
  };
  self.letGo = function () {
    running.delete(id);
    if (self.controller) self.controller.abort();
    send(KIND.CANCELLED, id, null);
  };
}

// AWS's object and the platform's. `uses` tells whether the handler looked at done, succeed or fail.
function contextOf(meta, invocation) {
  const deadline = Date.now() + meta.remaining_ms;
  const context = {
    memoryLimitInMb: about.memory_mb,
    memoryLimitInMB: String(about.memory_mb),
    functionName: about.name,
    functionVersion: about.version,
    awsRequestId: meta.request_id,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: function () { return Math.max(0, deadline - Date.now()); },
  };
  if (invocation.controller) context.signal = invocation.controller.signal;
  const endings = {
    done: invocation.finish,
    succeed: function (value) { invocation.finish(null, value); },
    fail: function (error) { invocation.finish(error === undefined || error === null ? new Error('fail') : error); },
  };
  Object.keys(endings).forEach(function (name) {
    Object.defineProperty(context, name, {
      enumerable: false,
      get: function () {
        invocation.usesContext = true;
        return endings[name];
      },
    });
  });
  return context;
}

function thrown(error) {
  return error === undefined || error === null ? new Error(String(error)) : error;
}

function invoke(frame) {
  const meta = JSON.parse(frame.meta);
  const event = meta.event;
  event.body = (frame.flags & 1) ? frame.body.toString('utf8') : frame.body.toString('base64');
  event.isBase64Encoded = !(frame.flags & 1);
  const invocation = new Invocation(frame.id, meta.request_id);
  running.set(frame.id, invocation);
  let result;
  try {
    result = handler(event, contextOf(meta, invocation), invocation.finish);
  } catch (error) {
    return invocation.finish(thrown(error));
  }
  if (result && typeof result.then === 'function') {
    return result.then(function (value) {
      // `undefined` after the callback was called is no second answer.
      if (value !== undefined || !invocation.done) invocation.finish(null, value);
    }, function (error) { invocation.finish(thrown(error)); });
  }
  if (result !== undefined) return invocation.finish(null, result);
  if (handler.length < 3 && !invocation.usesContext && !invocation.done) invocation.finish(null, undefined);
}

function onFrame(frame) {
  const held = running.get(frame.id);
  switch (frame.kind) {
    case KIND.SPECIALISE: return specialise(JSON.parse(frame.meta));
    case KIND.REQUEST: return invoke(frame);
    case KIND.CANCEL:
      if (held && (frame.flags & 1)) held.letGo();
      else if (held && held.controller) held.controller.abort();
      return undefined;
    case KIND.PING: return send(KIND.PONG, frame.id, null);
    default: return undefined;
  }
}

// Node writes to pipes in the background: what was printed goes out first.
function leave() {
  let waiting = 2;
  [process.stdout, process.stderr].forEach(function (stream) {
    stream.write('', function () {
      waiting -= 1;
      if (waiting === 0) process.exit(0);
    });
  });
}

// A rejection that nobody handles is one handler's mistake: the others go on.
process.on('unhandledRejection', complain);

const decoder = new frames.Decoder(onFrame);
socket.on('data', decoder.push);
socket.on('end', leave);
socket.on('error', leave);
process.on('SIGTERM', leave);
send(KIND.HELLO, 0, { version: 1, pid: process.pid, language: 'node', runtime: process.version });
