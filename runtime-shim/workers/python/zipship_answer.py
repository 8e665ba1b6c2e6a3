# -*- coding: utf-8 -*-
"""What a handler answered, taken apart: envelope or plain value. Runs on Python 2.7 and 3."""
import base64
import json
import re

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
BINARY = "application/octet-stream"

try:
    string_types = (basestring,)  # noqa: F821
    text_type = unicode  # noqa: F821
    int_types = (int, long)  # noqa: F821
except NameError:
    string_types = (str,)
    text_type = str
    int_types = (int,)


class Malformed(Exception):
    """An answer that HTTP cannot carry."""


def utf8(text):
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # lone surrogates: as node writes them
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode("utf-8")


def as_text(value):
    """The value when it is text; on Python 2.7 a str that is UTF-8 counts as text."""
    if isinstance(value, text_type):
        return value
    if bytes is str and isinstance(value, str):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return None


def encode(value):
    """The bytes of a value, and the type that goes with them."""
    if value is None:
        return b"", None
    text = as_text(value)
    if text is not None:
        return utf8(text), TEXT
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value), BINARY
    try:
        dumped = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Malformed("the handler's answer is not JSON: %s" % error)
    return utf8(dumped if isinstance(dumped, text_type) else dumped.decode("utf-8")), JSON


def decode(text):
    compact = re.sub(r"\s+", "", text).replace("-", "+").replace("_", "/")
    bare = compact.rstrip("=")
    if not re.match(r"^[A-Za-z0-9+/]*$", bare) or len(bare) % 4 == 1 or len(compact) - len(bare) > 2:
        raise Malformed("the handler's body is not base64")
    return base64.b64decode((bare + "=" * (-len(bare) % 4)).encode("ascii"))


def status(value):
    if value is None or (value == 0 and value is not False):
        return 200
    if isinstance(value, int_types) and not isinstance(value, bool):
        if abs(value) < 2 ** 53:
            return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2 ** 53:
        return int(value)
    if isinstance(value, string_types) and re.match(r"^[0-9]{1,9}$", value):
        return int(value)
    raise Malformed("the handler's statusCode is %r; it must be 200 to 599" % (value,))


def header_text(name, value):
    text = as_text(value)
    if text is not None:
        return text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int_types + (float,)):
        return str(value)
    raise Malformed("the handler's header %s is an object" % json.dumps(name))


def collect(given, what, out):
    if given is None:
        return
    if not isinstance(given, dict):
        raise Malformed("the handler's %s is no object" % what)
    for name, value in given.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is not None:
                name_text = as_text(name)
                if name_text is None:
                    name_text = str(name)
                out.append([name_text, header_text(name_text, one)])


def headers_of(value):
    multi, single = [], []
    collect(value.get("multiValueHeaders"), "multiValueHeaders", multi)
    collect(value.get("headers"), "headers", single)
    names = set(name.lower() for name, _ in multi)
    headers = [pair for pair in single if pair[0].lower() not in names] + multi
    if isinstance(value.get("cookies"), (list, tuple)):
        collect({"Set-Cookie": value["cookies"]}, "cookies", headers)
    return headers


def answer(value):
    """(status, headers, body); raises Malformed."""
    if not isinstance(value, dict) or not ("statusCode" in value or "body" in value):
        body, kind = encode(value)
        return 200, [["Content-Type", kind]] if kind else [], body
    headers = headers_of(value)
    given = value.get("body")
    text = as_text(given)
    if text is not None and value.get("isBase64Encoded") is True:
        body, kind = decode(text), BINARY
    else:
        body, kind = encode(given)
    if kind and body and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(["Content-Type", kind])
    return status(value.get("statusCode")), headers, body
