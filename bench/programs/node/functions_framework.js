// A function of @google-cloud/functions-framework.
exports.handle = function (request, response) {
  response.set('Content-Type', 'text/plain; charset=utf-8')
  response.send(request.path === '/echo' ? request.rawBody : 'hello')
}
