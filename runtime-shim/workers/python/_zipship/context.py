# -*- coding: utf-8 -*-
"""The handler's second argument: a dict with the platform's keys, which also has AWS's attributes."""
import sys

try:
    from time import monotonic as clock
except ImportError:
    from time import time as clock


class Identity(object):
    """Who called, of AWS's mobile SDK: nobody."""
    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context(dict):
    invoked_function_arn = ""
    log_group_name = ""
    log_stream_name = ""
    identity = Identity()
    client_context = None

    def get_remaining_time_in_millis(self):
        return max(0, int((self._end - clock()) * 1000))

    @staticmethod
    def log(message):
        """Writes to standard output, as AWS's does: no line end is added."""
        sys.stdout.write(message if isinstance(message, str) else str(message))
        sys.stdout.flush()


def context_type(function):
    """A Context class that knows its function; `make(request_id, remaining_ms)` is called for each request."""
    name, version, memory = function["name"], function["version"], function["memory_mb"]
    keys = {"memoryLimitInMb": memory, "functionName": name, "functionVersion": version}

    class Bound(Context):
        function_name = name
        function_version = version
        memory_limit_in_mb = memory

    Bound.__name__ = "Context"

    def make(request_id, remaining_ms):
        context = Bound(keys)
        context.aws_request_id = request_id
        context._end = clock() + remaining_ms / 1000.0
        return context
    return make
