import middy from '@middy/core';

const times = () => ({
  before: (request) => { request.event.seen = true; },
  after: (request) => { request.response.headers = { 'X-Remaining': String(request.context.getRemainingTimeInMillis() > 0) }; },
  onError: (request) => { request.response = { statusCode: 418, body: request.error.message }; },
});

export const handle = middy().use(times()).handler(async (event) => {
  if (event.path === '/fails') throw new Error('caught by a middleware');
  return { statusCode: 200, body: `seen: ${event.seen}` };
});
