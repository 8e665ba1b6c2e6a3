// Answers JSON, greeting whoever the query names.
module.exports.hello = async (event) => {
  const name = event.queryStringParameters.name || "World";
  return {
    statusCode: 200,
    headers: { "Content-Type": "application/json", "X-Greeted": name },
    body: JSON.stringify({ message: `Hello, ${name}` }),
  };
};
