'use strict';
// Which request the code that runs now belongs to. Versions before 12.17 cannot tell.

const AsyncLocalStorage = require('async_hooks').AsyncLocalStorage;

const storage = typeof AsyncLocalStorage === 'function' ? new AsyncLocalStorage() : null;

module.exports = {
  knows: storage !== null,
  // Runs `call(invocation, event)` and all that it starts as part of an invocation.
  run: storage ? function (call, invocation, event) { storage.run(invocation, call, invocation, event); }
    : function (call, invocation, event) { call(invocation, event); },
  // The invocation, or undefined outside of all.
  current: storage ? function () { return storage.getStore(); } : function () { return undefined; },
};
