# -*- coding: utf-8 -*-
"""What a handler answered, taken apart: envelope, plain value or stream."""
from .documents import NEW, dump, quote, text_type, utf8, valid

TEXT = u"text/plain; charset=utf-8"
JSON = u"application/json"
BINARY = u"application/octet-stream"

string_types = (str,) if NEW else (str, text_type)
int_types = (int,) if NEW else (int, type(2 ** 64))
NEXT = "__next__" if NEW else "next"
# Most of the answers: status 200 and a type.
PLAIN = {kind: ('{"status":200,"headers":[["Content-Type",%s]]}' % quote(kind)).encode("ascii") for kind in (TEXT, JSON, BINARY)}
PLAIN[None] = b'{"status":200,"headers":[]}'


class Malformed(Exception):
    """An answer that HTTP cannot carry."""


def as_text(value):
    """The value when it is text; on Python 2.7 a str that is UTF-8 counts as text."""
    if isinstance(value, text_type):
        return value
    if not NEW and isinstance(value, str):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return None


def piece(value):
    """The bytes of text or bytes, and the type that goes with them; (None, None) for anything else."""
    text = as_text(value)
    if text is not None:
        return utf8(text), TEXT
    if isinstance(value, (bytes, bytearray, memoryview)):
        return value if type(value) is bytes else value.tobytes() if isinstance(value, memoryview) else bytes(value), BINARY
    return None, None


def is_stream(value):
    """Whether it comes piece by piece: iterators (of which generators are some), and asynchronous iterables."""
    return hasattr(value, NEXT) or hasattr(type(value), "__aiter__")


def whole(value):
    """Bytes and type of what is no stream."""
    if value is None:
        return b"", None
    data, kind = piece(value)
    if kind is not None:
        return data, kind
    try:
        return dump(value), JSON
    except (TypeError, ValueError, RuntimeError) as error:
        raise Malformed("the handler's answer is not JSON: %s" % error)


def from_base64(text):
    from binascii import Error, a2b_base64
    compact = "".join(text.split()).replace("-", "+").replace("_", "/")
    bare = compact.rstrip("=")
    padding = len(compact) - len(bare)
    try:
        data = bare.encode("ascii")
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        if data.translate(None, alphabet) or padding > 2:
            raise ValueError()
        return a2b_base64(data + b"=" * (-len(data) % 4))
    except (ValueError, Error):
        raise Malformed("the handler's body is not base64")


def status(value):
    if value is None:
        return 200
    number = None
    if isinstance(value, int_types) and not isinstance(value, bool):
        number = int(value)
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    elif isinstance(value, string_types) and value.isdigit() and len(value) < 10:
        try:
            return int(value.encode("ascii"))
        except UnicodeError:
            pass
    if number is not None and abs(number) < 2 ** 53:
        return number or 200
    raise Malformed("the handler's statusCode is %r; it must be 200 to 599" % (value,))


def header_text(name, value):
    text = as_text(value)
    if text is not None:
        return text
    if isinstance(value, bool):
        return u"true" if value else u"false"
    if isinstance(value, int_types + (float,)):
        return text_type(value)
    raise Malformed("the handler's header %s is an object" % quote(valid(name)))


def collect(given, what, out):
    if given is None:
        return
    if not isinstance(given, dict):
        raise Malformed("the handler's %s is no object" % what)
    for name, value in given.items():
        name = name if type(name) is text_type else as_text(name) or text_type(name)
        if type(value) is text_type:
            out.append((name, value))
            continue
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if one is not None:
                out.append((name, header_text(name, one)))


def headers_of(value):
    multi, single = [], []
    collect(value.get("multiValueHeaders"), "multiValueHeaders", multi)
    collect(value.get("headers"), "headers", single)
    if multi:
        names = set(name.lower() for name, _ in multi)
        single = [pair for pair in single if pair[0].lower() not in names] + multi
    if isinstance(value.get("cookies"), (list, tuple)):
        collect({u"Set-Cookie": value["cookies"]}, "cookies", single)
    return single


def has_type(headers):
    for name, _ in headers:
        if name.lower() == "content-type":
            return True
    return False


def meta(code, headers, kind):
    """ANSWER's and HEAD's meta. `kind` is the type of a body that is not told otherwise."""
    if not headers and code == 200:
        return PLAIN[kind]
    pairs = ["[%s,%s]" % (quote(name), quote(value)) for name, value in headers]
    if kind and not has_type(headers):
        pairs.append('["Content-Type",%s]' % quote(kind))
    text = '{"status":%d,"headers":[%s]}' % (code, ",".join(pairs))
    if "\\ud" in text:
        return meta(code, [(valid(name), valid(value)) for name, value in headers], kind) if has_lone(headers) \
            else text.encode("ascii")
    return text.encode("ascii")


def has_lone(headers):
    return any(valid(text) is not text for pair in headers for text in pair)


def answer(value):
    """Status, headers, body and type of the body; a stream is its own body. Raises Malformed."""
    if not isinstance(value, dict) or not ("statusCode" in value or "body" in value):
        return (200, (), value, None) if is_stream(value) else (200, ()) + whole(value)
    code, headers, given = status(value.get("statusCode")), headers_of(value), value.get("body")
    if is_stream(given):
        if value.get("isBase64Encoded") is True:
            raise Malformed("the handler's body is a stream and cannot be base64")
        return code, headers, given, None
    if value.get("isBase64Encoded") is True:
        text = as_text(given)
        if text is not None:
            return code, headers, from_base64(text), BINARY
    body, kind = whole(given)
    return code, headers, body, kind if body else None
