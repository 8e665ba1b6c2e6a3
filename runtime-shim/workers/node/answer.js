'use strict';
// What a handler answered, taken apart: envelope or plain value. The shim never parses user data.

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json';
const BINARY = 'application/octet-stream';

// An answer that HTTP cannot carry.
function Malformed(message) {
  this.message = message;
}

// The bytes of a Buffer or typed array; null for everything else.
function bytesOf(value) {
  if (Buffer.isBuffer(value)) return value;
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : null;
}

// The text or bytes of a value and the type that goes with them.
function encode(value) {
  if (value === undefined || value === null) return { body: '', type: null };
  if (typeof value === 'string') return { body: value, type: TEXT };
  const bytes = bytesOf(value);
  if (bytes) return { body: bytes, type: BINARY };
  let text;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new Malformed('the handler\'s answer is not JSON: ' + (error && error.message));
  }
  return text === undefined ? encode(null) : { body: text, type: JSON_TYPE };
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

function add(name, value, out) {
  if (value === undefined || value === null) return;
  if (typeof value === 'object' || typeof value === 'function' || typeof value === 'symbol') {
    throw new Malformed('the handler\'s header ' + JSON.stringify(name) + ' is an object');
  }
  out.push([name, String(value)]);
}

// Adds to `out`, without the names in `but`.
function collect(given, what, out, but) {
  if (given === undefined || given === null) return;
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw new Malformed('the handler\'s ' + what + ' is no object');
  }
  const names = Object.keys(given);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    if (but !== null && but.indexOf(name.toLowerCase()) >= 0) continue;
    const value = given[name];
    if (!Array.isArray(value)) add(name, value, out);
    else for (let j = 0; j < value.length; j++) add(name, value[j], out);
  }
}

// [[name, value]] of an envelope, or of the metadata of a stream.
function headersOf(value) {
  const headers = [];
  if (value.multiValueHeaders === undefined || value.multiValueHeaders === null) {
    collect(value.headers, 'headers', headers, null);
  } else {
    const multi = [];
    collect(value.multiValueHeaders, 'multiValueHeaders', multi, null);
    collect(value.headers, 'headers', headers, multi.map(function (pair) { return pair[0].toLowerCase(); }));
    Array.prototype.push.apply(headers, multi);
  }
  if (Array.isArray(value.cookies)) collect({ 'Set-Cookie': value.cookies }, 'cookies', headers, null);
  return headers;
}

function hasType(headers) {
  for (let i = 0; i < headers.length; i++) {
    if (headers[i][0].length === 12 && headers[i][0].toLowerCase() === 'content-type') return true;
  }
  return false;
}

function isEnvelope(value) {
  return typeof value === 'object' && value !== null && ('statusCode' in value || 'body' in value) &&
    !Array.isArray(value) && !bytesOf(value);
}

// {status, headers: [[name, value]], body: text or Buffer}; throws Malformed.
function answer(value) {
  if (!isEnvelope(value)) {
    const plain = encode(value);
    return { status: 200, headers: plain.type ? [['Content-Type', plain.type]] : [], body: plain.body };
  }
  const headers = headersOf(value);
  const isBase64 = typeof value.body === 'string' && value.isBase64Encoded === true;
  const encoded = isBase64 ? { body: decode(value.body), type: BINARY } : encode(value.body);
  if (encoded.type && encoded.body.length > 0 && !hasType(headers)) headers.push(['Content-Type', encoded.type]);
  return { status: status(value.statusCode), headers: headers, body: encoded.body };
}

module.exports = {
  BINARY: BINARY, TEXT: TEXT, Malformed: Malformed,
  answer: answer, bytesOf: bytesOf, hasType: hasType, headersOf: headersOf, isEnvelope: isEnvelope, status: status,
};
