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
// A large one between two of them, read as the channel does it: in place where there is room.
const large = frames.head(4, 1, 7, '{}', 300000);
const body = Buffer.alloc(300000, 'zipship');
const many = Buffer.concat([wire, large, body, wire]);
[1000, 65536, 100000, many.length].forEach(function (step) {
  const read = [];
  // What a frame has is good until the next bytes come.
  const decoder = new frames.Decoder(function (frame) { read.push(Object.assign({}, frame, { body: Buffer.from(frame.body) })); });
  let inPlace = 0;
  for (let at = 0; at < many.length;) {
    const room = decoder.room();
    const length = Math.min(step, many.length - at, room ? room.length : step);
    if (room) decoder.took(many.copy(room, 0, at, at + length));
    else decoder.push(many.slice(at, at + length));
    if (room) inPlace += length;
    at += length;
  }
  assert(step === many.length ? inPlace === 0 : inPlace > 100000, step + ': ' + inPlace);
  assert.strictEqual(read.length, 2 * golden.length + 1);
  golden.forEach(function (one, index) {
    same(read[index], one);
    same(read[golden.length + 1 + index], one);
  });
  assert(read[golden.length].body.equals(body));
});
assert.strictEqual(frames.ascii({ a: 'é\u{1f600}' }), '{"a":"\\u00e9\\ud83d\\ude00"}');
console.log(golden.length + ' frames');
