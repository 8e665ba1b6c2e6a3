// Tells the caller what arrived: useful while wiring up a client. Uses the callback form.
module.exports.echo = (event, context, callback) => {
  if (event.httpMethod !== "POST") {
    callback(undefined, { statusCode: 405, headers: { Allow: "POST" }, body: "POST something\n" });
    return;
  }
  const bytes = Buffer.from(event.body, event.isBase64Encoded ? "base64" : "utf8");
  callback(undefined, {
    statusCode: 200,
    headers: { "X-Length": bytes.length, "X-Path": event.path, "Content-Type": "application/octet-stream" },
    body: bytes.toString("base64"),
    isBase64Encoded: true,
  });
};
