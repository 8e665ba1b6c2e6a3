module.exports.handle = async (event) => ({ statusCode: 200, body: `for your eyes only, ${event.httpMethod}` });
