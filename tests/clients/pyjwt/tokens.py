"""Proves and signs tokens with PyJWT.

    python tokens.py TASKS

TASKS is a JSON list of {"verify": TOKEN, "key": PEM, "audience": TEXT} or {"sign": CLAIMS, "key": PEM}.
Prints a list of what came of each: {"claims": ...}, {"token": TEXT} or {"refused": WHY}.
"""

import json
import sys

import jwt


def answer(task):
    if "sign" in task:
        return {"token": jwt.encode(task["sign"], task["key"], algorithm="RS256")}
    try:
        claims = jwt.decode(task["verify"], task["key"], algorithms=["RS256"], audience=task["audience"])
    except jwt.PyJWTError as error:
        return {"refused": repr(error)}
    return {"claims": claims}


json.dump([answer(task) for task in json.loads(sys.argv[1])], sys.stdout)
