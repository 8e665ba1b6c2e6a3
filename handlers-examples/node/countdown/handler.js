// Answers in pieces: what a generator yields is on its way before the next piece is asked for.
exports.count = (event) => {
  const from = Number(event.queryStringParameters.from || 3);
  if (!(from >= 1 && from <= 1000)) return { statusCode: 400, body: "from must be 1 to 1000\n" };
  return { headers: { "Content-Type": "text/event-stream" }, body: countdown(from) };
};

function* countdown(from) {
  for (let left = from; left > 0; left--) yield `data: ${left}\n\n`;
  yield "data: lift-off\n\n";
}
