// handler.js
module.exports.myHandler = async (event, context, callback) => {
  const response = {
    body: JSON.stringify({message: "Hello, World"}),
    statusCode: 200,
    headers: {
      MY_HEADER: "its content",
    },
  }
  return response
}
