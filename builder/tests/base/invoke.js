'use strict';
// Runs one function with the worker of a base image, as the shim does: invoke.js WORKER DIRECTORY HANDLER.

const path = require('path');
const spawn = require('child_process').spawn;

const worker = process.argv[2];
const frames = require(path.join(path.dirname(worker), 'frames.js'));
const KIND = frames.KIND;

const arguments_ = ['--use-openssl-ca', worker];
const child = spawn(process.execPath, arguments_, { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
const socket = child.stdio[3];

function send(kind, id, meta, flags) {
  socket.write(frames.head(kind, flags, id, frames.ascii(meta), 0));
}

socket.on('data', new frames.Decoder(function (frame) {
  switch (frame.kind) {
    case KIND.HELLO:
      return send(KIND.SPECIALISE, 0, {
        directory: process.argv[3], handler: process.argv[4], environment: {},
        function: { name: 'f', version: '1', memory_mb: 128 }, max_concurrency: 1,
      }, 0);
    case KIND.SPECIALISED:
      return send(KIND.REQUEST, 1, { event: { body: '', path: '/' }, request_id: 'r', remaining_ms: 10000 }, 1);
    default:
      console.log(frame.kind === KIND.ANSWER ? frame.body.toString() : frame.meta);
      return socket.end();
  }
}).push);
