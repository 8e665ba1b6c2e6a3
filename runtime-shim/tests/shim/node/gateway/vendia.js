'use strict';
const serverlessExpress = require('@vendia/serverless-express');

exports.handle = serverlessExpress({ app: require('./app.js'), binarySettings: { contentTypes: ['application/octet-stream'] } });
