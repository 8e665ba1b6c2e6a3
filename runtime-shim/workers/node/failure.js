'use strict';
// What was thrown, in words. Anything may be thrown, also what does not want to be read.

function safely(read, otherwise) {
  try {
    return read();
  } catch (error) {
    return otherwise;
  }
}

function isError(error) {
  return error !== null && typeof error === 'object' && error.message !== undefined;
}

function textOf(value) {
  if (value !== null && typeof value === 'object') {
    const json = safely(function () { return JSON.stringify(value); }, undefined);
    if (json !== undefined) return json;
  }
  return safely(function () { return String(value); }, typeof value);
}

// What ERROR and END say: `message` and `error_type`.
function describe(error) {
  return safely(function () {
    if (!isError(error)) return { message: textOf(error), error_type: typeof error };
    return { message: String(error.message), error_type: String(error.name || 'Error') };
  }, { message: 'an error that cannot be read', error_type: typeof error });
}

// For the log.
function stackOf(error) {
  return safely(function () {
    return error !== null && typeof error === 'object' && error.stack ? String(error.stack) : textOf(error);
  }, 'an error that cannot be read');
}

// Where a file is that node cannot read: the first line of the stack, else nowhere in the error.
function placeOf(error, directory) {
  const place = error instanceof SyntaxError && /^(?:file:\/\/)?(\/.*:[0-9]+)$/.exec(String(error.stack).split('\n')[0]);
  return place ? ' (' + place[1].replace(directory + '/', '') + ')' : '';
}

// To the log of the request that this code belongs to.
function complain(error) {
  process.stderr.write(stackOf(error) + '\n');
}

module.exports = { complain: complain, describe: describe, placeOf: placeOf, stackOf: stackOf };
