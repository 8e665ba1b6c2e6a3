'use strict';
const assert = require('assert');
const fs = require('fs');
const path = require('path');
const frames = require(path.join(__dirname, '../../../workers/node/frames.js'));

const golden = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));

function same(frame, one) {
  assert.deepStrictEqual(
    [frame.kind, frame.flags, frame.id, frame.meta, frame.body.toString('hex')],
    [one.type, one.flags, one.id, one.meta, one.body], one.name);
}

golden.forEach(function (one) {
  const body = Buffer.from(one.body, 'hex');
  const head = frames.head(one.type, one.flags, one.id, one.meta, body.length);
  assert.strictEqual(Buffer.concat([head, body]).toString('hex'), one.wire, one.name);
});
// All of them, cut in every way that repeats.
const wire = Buffer.from(golden.map(function (one) { return one.wire; }).join(''), 'hex');
for (let step = 1; step <= wire.length; step++) {
  const read = [];
  const decoder = new frames.Decoder(function (frame) { read.push(frame); });
  for (let at = 0; at < wire.length; at += step) decoder.push(wire.slice(at, at + step));
  assert.strictEqual(read.length, golden.length);
  golden.forEach(function (one, index) { same(read[index], one); });
}
assert.strictEqual(frames.ascii({ a: 'é\u{1f600}' }), '{"a":"\\u00e9\\ud83d\\ude00"}');
console.log(golden.length + ' frames');
