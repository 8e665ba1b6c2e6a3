// Our rows' handler: a few bytes, the body that came, or no answer at all.
exports.handle = function (event) {
  if (event.path === '/echo') return { statusCode: 200, body: event.body }
  if (event.path === '/never') return new Promise(function () {})
  return { statusCode: 200, body: 'hello' }
}
