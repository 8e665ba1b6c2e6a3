// Any program that listens on $PORT will do, and that user 1000 can run.
require('http')
  .createServer((request, response) => response.end('Hello from a container\n'))
  .listen(process.env.PORT);
