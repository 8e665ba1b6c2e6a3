'use strict';
// The node worker: frames on descriptor 3, any number of invocations at once. Runs on node 8 and later, and loads
// what a handler needs when it needs it.

const channel = require('./channel.js');
const KIND = require('./frames.js').KIND;

// Node writes to pipes in the background: what was printed goes out first.
function leave(status) {
  let waiting = 2;
  [process.stdout, process.stderr].forEach(function (stream) {
    stream.write('', function () {
      waiting -= 1;
      if (waiting === 0) process.exit(status);
    });
  });
}

channel.open(onFrame, function () { leave(0); });
channel.send(KIND.HELLO, 0, { version: 1, pid: process.pid, language: 'node', runtime: process.version }, null);

const invocations = require('./invocation.js');
const failure = require('./failure.js');
const scope = require('./scope.js');

function specialise(meta) {
  Object.keys(meta.environment).forEach(function (name) { process.env[name] = meta.environment[name]; });
  const logs = meta.log_frames === true && scope.knows ? require('./logs.js') : null;
  if (logs) logs.start();
  require('./awslambda.js');
  Promise.resolve().then(function () {
    process.chdir(meta.directory);
    return require('./load.js')(meta.directory, meta.handler);
  }).then(function (found) {
    invocations.serve(found, meta.function, logs);
    channel.send(KIND.SPECIALISED, 0, { ok: true }, null);
  }).catch(function (error) {
    failure.complain(error);
    const told = failure.describe(error);
    let message = told.message.split('\nRequire stack:')[0] + failure.placeOf(error, meta.directory);
    if (/musl/.test(message)) message += ' (this base uses glibc: install the dependency for it)';
    if (told.error_type !== 'Error') message = told.error_type + ': ' + message;
    channel.send(KIND.SPECIALISED, 0, { ok: false, error: message, error_type: told.error_type }, null);
  });
}

function onFrame(frame) {
  const held = invocations.running.get(frame.id);
  switch (frame.kind) {
    case KIND.REQUEST: return invocations.start(frame);
    case KIND.CANCEL: return held && held.cancel((frame.flags & 1) === 1);
    case KIND.CREDIT: return held && held.streaming && held.streaming.give(JSON.parse(frame.meta).bytes);
    case KIND.PING: return channel.send(KIND.PONG, frame.id, null, null);
    case KIND.SPECIALISE: return specialise(JSON.parse(frame.meta));
    default: return undefined;
  }
}

// The request whose code failed outside of its promise, where it can be told and is still to be answered.
function guilty() {
  const invocation = scope.current();
  return invocation && invocation.isOpen() ? invocation : null;
}

// Ends node itself since version 15; here it ends the request, at once and not at its timeout.
const rejectionsAreFatal = Number(process.versions.node.split('.')[0]) >= 15;
process.on('unhandledRejection', function (error) {
  const invocation = rejectionsAreFatal ? guilty() : null;
  if (invocation) invocation.breakOff(error, 0);
  else failure.complain(error);
});

// The request fails, the others go on, and the shim starts another process for what comes. Where nobody is known to
// be guilty there is no going on.
process.on('uncaughtException', function (error) {
  if (process.listenerCount('uncaughtException') > 1) return;
  const invocation = guilty();
  if (invocation) {
    invocation.breakOff(error, invocations.FLAG_REPLACE);
  } else {
    failure.complain(error);
    leave(1);
  }
});

process.on('SIGTERM', function () { leave(0); });
