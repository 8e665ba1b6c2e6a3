"""Counts the words of the text that is posted. The handler lies in a sub-directory, beside a module of its own."""
import base64
import json
from collections import Counter

from src.handlers.tokens import words


def count(event, context):
    if event["httpMethod"] != "POST":
        return {"statusCode": 405, "headers": {"Allow": "POST"}, "body": "POST a text"}
    body = event["body"]
    if event["isBase64Encoded"]:
        try:
            body = base64.b64decode(body).decode("utf-8")
        except UnicodeDecodeError as error:
            return {"statusCode": 400, "body": {"error": "the text is not UTF-8: " + str(error)}}
    counted = Counter(words(body))
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json", "X-Words": sum(counted.values())},
        "body": json.dumps(dict(counted.most_common()), sort_keys=True),
    }
