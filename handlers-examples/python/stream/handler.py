"""Counts down, a line at a time: each reaches the caller when it is made. A generator is a stream."""
import asyncio


async def lines(start):
    for number in range(start, 0, -1):
        yield "%d\n" % number
        await asyncio.sleep(0.01)
    yield "done\n"


async def handle(event, context):
    start = event["queryStringParameters"].get("from", "3")
    if not start.isdigit() or int(start) > 100:
        return {"statusCode": 400, "body": "from is a number up to 100\n"}
    return {"headers": {"Content-Type": "text/plain; charset=utf-8"}, "body": lines(int(start))}
