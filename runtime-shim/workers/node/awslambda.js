'use strict';
// The global object with which handlers say that they stream their answer.

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');

global.awslambda = {
  // A handler (event, responseStream, context).
  streamifyResponse: function (handler) {
    handler[STREAMING] = 'response';
    return handler;
  },
  HttpResponseStream: {
    from: function (responseStream, metadata) {
      return require('./response_stream.js').from(responseStream, metadata);
    },
  },
};
