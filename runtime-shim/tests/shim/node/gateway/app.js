'use strict';
const express = require('express');

const app = express();
app.use(express.json());
app.use(express.text());
app.use(express.raw({ type: 'application/octet-stream' }));
app.get('/greet/:name', (request, response) => {
  response.cookie('a', '1').cookie('b', '2').json({ name: request.params.name, query: request.query });
});
app.post('/echo', (request, response) => response.type(request.headers['content-type']).send(request.body));
app.get('/missing', (request, response) => response.status(404).send('nothing here'));

module.exports = app;
