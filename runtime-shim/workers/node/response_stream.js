'use strict';
// Handlers made with `awslambda.streamifyResponse`: they write their answer to a stream.

const stream = require('stream');
const answers = require('./answer.js');
const Sender = require('./sender.js');

// An answer of this type begins with its metadata in JSON and eight zero bytes, within so many bytes.
const INTEGRATION = 'application/vnd.awslambda.http-integration-response';
const SEPARATOR = Buffer.alloc(8);
const LONGEST_PRELUDE = 16384;
const TYPE = 'content-type';

class ResponseStream extends stream.Writable {
  constructor(invocation) {
    super({ decodeStrings: false, highWaterMark: 65536 });
    this._sender = new Sender(invocation, 200, []);
    this._prelude = null;
  }

  setContentType(type) {
    const others = this._sender.headers.filter(function (pair) { return pair[0].toLowerCase() !== TYPE; });
    this._sender.headers = others.concat([['Content-Type', String(type)]]);
    this._prelude = type === INTEGRATION ? Buffer.alloc(0) : null;
  }

  // {statusCode, headers, multiValueHeaders, cookies}
  _describe(metadata) {
    this._sender.status = answers.status(metadata.statusCode);
    const headers = answers.headersOf(metadata);
    this._sender.headers = answers.hasType(headers) ? headers
      : headers.concat(this._sender.headers.filter(function (pair) { return pair[1] !== INTEGRATION; }));
    this._prelude = null;
  }

  _write(chunk, encoding, done) {
    try {
      const piece = typeof chunk === 'string' && encoding && encoding !== 'utf8' && encoding !== 'utf-8'
        ? Buffer.from(chunk, encoding) : chunk;
      if (this._prelude !== null) return this._takePrelude(piece, done);
      if (this._sender.isOver) return done(new Error('nobody waits for this answer any more'));
      this._sender.write(piece, done);
    } catch (error) {
      done(error);
    }
  }

  _takePrelude(piece, done) {
    const bytes = Buffer.concat([this._prelude, Buffer.from(piece)]);
    const end = bytes.indexOf(SEPARATOR);
    if (end < 0 || end > LONGEST_PRELUDE) {
      if (bytes.length > LONGEST_PRELUDE) throw new answers.Malformed('the stream\'s metadata does not end');
      this._prelude = bytes;
      return done();
    }
    this._describe(JSON.parse(bytes.toString('utf8', 0, end)));
    const rest = bytes.slice(end + SEPARATOR.length);
    if (rest.length === 0) return done();
    return this._sender.write(rest, done);
  }

  _final(done) {
    if (this._prelude !== null && this._prelude.length > 0) {
      const error = new answers.Malformed('the stream\'s metadata does not end');
      // Before version 14 nobody destroys the stream for it.
      this._sender.fail(error);
      return done(error);
    }
    this._sender.end();
    return done();
  }

  _destroy(error, done) {
    if (!this._sender.isOver) this._sender.fail(error || new Error('the response stream was destroyed before its end'));
    done(error);
  }
}

// A stream that has this metadata: AWS's `HttpResponseStream.from`.
function from(responseStream, metadata) {
  if (!(responseStream instanceof ResponseStream)) {
    throw new TypeError('HttpResponseStream.from needs the response stream that the handler was given');
  }
  responseStream._describe(metadata || {});
  return responseStream;
}

function call(handler, invocation, event, context) {
  const out = new ResponseStream(invocation);
  // Told where the stream is destroyed.
  out.on('error', function () {});
  function failed(error) {
    const reason = error === undefined || error === null ? new Error(String(error)) : error;
    if (out._sender.isOver) return invocation.log(require('./failure.js').stackOf(reason));
    out._sender.fail(reason);
    return out.destroy();
  }
  invocation.streaming = {
    give: function (bytes) { out._sender.give(bytes); },
    fail: failed,
    stop: function () {
      out._sender.stop();
      out.destroy(new Error('the caller has gone, or its time is up'));
    },
  };
  Promise.resolve().then(function () { return handler(event, out, context); }).catch(failed);
}

module.exports = { call: call, from: from };
