'use strict';
// An answer that comes in pieces: generators, async iterables, node's streams, the web's streams.

const Sender = require('./sender.js');

// Each source has `next()`, which gives {done, value} or a promise of it, and `stop()`.
function sourceOf(value) {
  if (typeof value.getReader === 'function') return ofReader(value.getReader());
  // Before version 10 node's streams have no iterators, and later ones read ahead more.
  if (typeof value.pipe === 'function' && typeof value.read === 'function') return ofReadable(value);
  const isAsync = Symbol.asyncIterator !== undefined && typeof value[Symbol.asyncIterator] === 'function';
  return ofIterator(isAsync ? value[Symbol.asyncIterator]() : value);
}

function ofIterator(iterator) {
  return {
    next: function () { return iterator.next(); },
    stop: function () { return typeof iterator.return === 'function' ? iterator.return() : undefined; },
  };
}

function ofReader(reader) {
  return {
    next: function () { return reader.read(); },
    stop: function () { return reader.cancel(); },
  };
}

function ofReadable(stream) {
  let wake = null;
  let isOver = false;
  let failed = null;
  function changed() {
    if (wake) wake();
  }
  function over() {
    isOver = true;
    changed();
  }
  function broke(error) {
    failed = { error: error };
    changed();
  }
  const isDead = stream.destroyed || (stream._readableState && stream._readableState.endEmitted);
  stream.on('readable', changed);
  stream.on('end', over);
  stream.on('error', broke);
  stream.on('close', function () { if (!isOver) broke(new Error('the stream was closed before its end')); });
  if (isDead) broke(new Error('the stream had ended before it was returned'));
  return {
    next: function () {
      return new Promise(function (resolve, reject) {
        wake = function () {
          const piece = failed ? null : stream.read();
          if (piece === null && !isOver && !failed) return;
          wake = null;
          if (failed) reject(failed.error);
          else resolve({ done: piece === null, value: piece });
        };
        wake();
      });
    },
    stop: function () {
      stream.removeListener('error', broke);
      stream.on('error', function () {});
      stream.destroy();
    },
  };
}

// Sends them one after the other; returns what CREDIT, CANCEL and errors are for.
function send(invocation, status, headers, value) {
  const sender = new Sender(invocation, status, headers);
  const source = sourceOf(value);

  function pull() {
    if (sender.isOver) return;
    Promise.resolve().then(function () { return source.next(); }).then(function (step) {
      if (sender.isOver) return;
      if (step.done) sender.end();
      else if (step.value === undefined || step.value === null) pull();
      else sender.write(step.value, pull);
    }).catch(function (error) {
      if (!sender.isOver) fail(error === undefined || error === null ? new Error(String(error)) : error);
    });
  }

  function fail(error) {
    sender.fail(error);
    close();
  }

  // What the source says to that is for the log.
  function close() {
    Promise.resolve().then(function () { return source.stop(); }).catch(require('./failure.js').complain);
  }

  pull();
  return {
    give: function (bytes) { sender.give(bytes); },
    fail: fail,
    stop: function () {
      sender.stop();
      close();
    },
  };
}

module.exports = { send: send };
