// The measure of all rows: node's own server, as the manual shows it.
const http = require('http')

http.createServer(function (request, response) {
  const pieces = []
  request.on('data', function (piece) { pieces.push(piece) })
  request.on('end', function () {
    const body = request.url === '/echo' ? Buffer.concat(pieces) : 'hello'
    response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': body.length })
    response.end(body)
  })
}).listen(Number(process.env.PORT), '127.0.0.1')
