# -*- coding: utf-8 -*-
"""JSON, in and out, through the C functions behind the module `json`: the module itself takes longer to import than
everything else here. Where they are not what is expected, the module does it."""
import sys

NEW = sys.version_info[0] > 2
text_type = str if NEW else type(u"")


class Settings(object):
    """What the C scanner reads of a decoder."""
    strict = True
    encoding = "utf-8"
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__
    memo = {}


def scanner():
    sample, parsed = u'{"a": [1, -2.5, null, true, "\\u00e9"]}', {u"a": [1, -2.5, None, True, u"\xe9"]}
    try:
        import _json
        scan = _json.make_scanner(Settings)
        if scan(sample, 0) == (parsed, len(sample)):
            return scan
    except Exception:
        pass
    import json
    return lambda text, at: (json.loads(text), len(text))


def quoter():
    try:
        from _json import encode_basestring_ascii
        return encode_basestring_ascii
    except ImportError:
        from json import dumps
        return dumps


# scan(text, 0) is the value and where it ends; quote(text) is ASCII JSON.
scan = scanner()
quote = quoter()


def valid(text):
    """The text with lone surrogates replaced, as node writes them: UTF-8 and JSON readers have no place for them."""
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def utf8(text):
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return valid(text).encode("utf-8")


def unknown(value):
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def dump_with_module(value):
    import json
    # On Python 2.7 a str counts as UTF-8, which only the escaping form knows.
    dumped = json.dumps(value, separators=(",", ":"), ensure_ascii=not NEW, allow_nan=False)
    return utf8(dumped) if NEW else dumped


def dumper():
    if not NEW:
        return dump_with_module
    try:
        from _json import encode_basestring, make_encoder

        def dump(value):
            return utf8("".join(make_encoder({}, unknown, encode_basestring, None, ":", ",", False, False, False)(value, 0)))
        if dump({"a": [1, -2.5, None, True, "\xe9"]}) == b'{"a":[1,-2.5,null,true,"\xc3\xa9"]}':
            return dump
    except Exception:
        pass
    return dump_with_module


# dump(value) is UTF-8 JSON without spaces; TypeError, ValueError or RuntimeError when the value has no JSON.
dump = dumper()


def ascii_object(**members):
    """A flat object of text and numbers, as a frame's meta."""
    pairs = ("%s:%s" % (quote(name), quote(valid(value)) if isinstance(value, text_type) else
                        quote(value) if isinstance(value, str) else str(value)) for name, value in members.items())
    return ("{%s}" % ",".join(pairs)).encode("ascii")


def decode_utf8(body):
    """Text of a frame's body, whatever kind of bytes it is."""
    return str(body, "utf-8") if NEW else bytes(bytearray(body)).decode("utf-8")
