module.exports.handle = (event, context, callback) => {
  console.log('hello was called');
  const response = {
    statusCode: 200,
    body: JSON.stringify({ version: 'first', everywhere: process.env.everywhere, both: process.env.both }),
  };

  // Either callback(undefined, response), or return it.
  return response;
};
