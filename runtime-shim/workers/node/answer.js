'use strict';
// What a handler answered, taken apart: envelope or plain value. The shim never parses user data.

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json';
const BINARY = 'application/octet-stream';

// An answer that HTTP cannot carry.
function Malformed(message) {
  this.message = message;
}

function bytesOf(value) {
  if (Buffer.isBuffer(value)) return value;
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : null;
}

// The bytes of a value and the type that goes with them.
function encode(value) {
  if (value === undefined || value === null) return { body: Buffer.alloc(0), type: null };
  if (typeof value === 'string') return { body: Buffer.from(value, 'utf8'), type: TEXT };
  const bytes = bytesOf(value);
  if (bytes) return { body: bytes, type: BINARY };
  let text;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new Malformed('the handler\'s answer is not JSON: ' + error.message);
  }
  return text === undefined ? encode(null) : { body: Buffer.from(text, 'utf8'), type: JSON_TYPE };
}

function decode(text) {
  const compact = text.replace(/\s+/g, '');
  const bare = compact.replace(/=+$/, '');
  if (!/^[A-Za-z0-9+/_-]*$/.test(bare) || bare.length % 4 === 1 || compact.length - bare.length > 2) {
    throw new Malformed('the handler\'s body is not base64');
  }
  return Buffer.from(bare, 'base64');
}

function status(value) {
  if (value === undefined || value === null || value === 0) return 200;
  if (typeof value === 'string' && /^[0-9]{1,9}$/.test(value)) return Number(value);
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new Malformed('the handler\'s statusCode is ' + String(value) + '; it must be 200 to 599');
}

function collect(given, what, out) {
  if (given === undefined || given === null) return;
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw new Malformed('the handler\'s ' + what + ' is no object');
  }
  Object.keys(given).forEach(function (name) {
    const values = Array.isArray(given[name]) ? given[name] : [given[name]];
    values.forEach(function (value) {
      if (value === undefined || value === null) return;
      if (typeof value === 'object' || typeof value === 'function' || typeof value === 'symbol') {
        throw new Malformed('the handler\'s header ' + JSON.stringify(name) + ' is an object');
      }
      out.push([name, String(value)]);
    });
  });
}

function headersOf(value) {
  const multi = [];
  collect(value.multiValueHeaders, 'multiValueHeaders', multi);
  const names = multi.map(function (pair) { return pair[0].toLowerCase(); });
  const single = [];
  collect(value.headers, 'headers', single);
  const headers = single.filter(function (pair) { return names.indexOf(pair[0].toLowerCase()) < 0; }).concat(multi);
  if (Array.isArray(value.cookies)) collect({ 'Set-Cookie': value.cookies }, 'cookies', headers);
  return headers;
}

// {status, headers: [[name, value]], body: Buffer}; throws Malformed.
function answer(value) {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value) && !bytesOf(value);
  if (!isObject || !('statusCode' in value || 'body' in value)) {
    const plain = encode(value);
    return { status: 200, headers: plain.type ? [['Content-Type', plain.type]] : [], body: plain.body };
  }
  const headers = headersOf(value);
  const isBase64 = typeof value.body === 'string' && value.isBase64Encoded === true;
  const encoded = isBase64 ? { body: decode(value.body), type: BINARY } : encode(value.body);
  const hasType = headers.some(function (pair) { return pair[0].toLowerCase() === 'content-type'; });
  if (encoded.type && !hasType && encoded.body.length > 0) headers.push(['Content-Type', encoded.type]);
  return { status: status(value.statusCode), headers: headers, body: encoded.body };
}

module.exports = { answer: answer, Malformed: Malformed };
