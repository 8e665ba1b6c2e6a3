"""Answers a plain object: it becomes JSON."""


def handle(event, context):
    name = event["queryStringParameters"].get("name", "World")
    return {"message": "Hello, " + name, "method": event["httpMethod"]}
