'use strict';
const serverless = require('serverless-http');

module.exports.handle = serverless(require('./app.js'), { binary: ['application/octet-stream'] });
