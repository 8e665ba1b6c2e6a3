'use strict';
const awsServerlessExpress = require('aws-serverless-express');

const server = awsServerlessExpress.createServer(require('./app.js'), null, ['application/octet-stream']);

exports.handle = (event, context) => { awsServerlessExpress.proxy(server, event, context); };
