"""What schemathesis can't know of this API: where an archive goes, which function has one, and what no schema can say.

`ZIPSHIP_FUZZ` is a JSON object: `url` of the server, `key`, `archive` (path of a zip for node10 that deploys), `deploys`
(how many of it may be asked for), `report` (where each answer is written as a line of JSON).
"""

import collections
import itertools
import json
import os
import re
import threading
import time
from urllib.parse import parse_qsl, urlsplit

import requests
import schemathesis
from hypothesis.errors import Flaky
from schemathesis.engine import Status
from schemathesis.engine.errors import is_inconsistent_replay
from schemathesis.engine.run.stateful import _executor as ways
from schemathesis.generation import GenerationMode

WORLD = json.loads(os.environ["ZIPSHIP_FUZZ"])
ARCHIVE = open(WORLD["archive"], "rb").read()
REPORT = open(WORLD["report"], "a", buffering=1)
# Seconds: a slow machine is no finding.
PATIENCE = 120
LOCK = threading.Lock()
SESSION = requests.Session()
# Every so many good cases of an operation are led to what only a real world has.
LED = {"putArchive": 2, "getArchive": 2, "getFunctionDownloadUrl": 3, "deployFunction": 3, "getFunctionUploadUrl": 3}
# Of good bodies and queries one in so many stays as it is, with what no schema can say and the server therefore refuses.
RAW = 5
SEEN = collections.defaultdict(itertools.count)
WITHIN, DELETED = {}, set()
SCHEDULES = itertools.cycle(["0 9 * * mon-fri", "@daily", "*/5 * 1 * *", "7 4 29 2 *"])


def ask(method, path, **arguments):
    url = f"{WORLD['url']}/functions/v1alpha2/regions/{path}"
    return SESSION.request(method, url, headers={"X-Auth-Token": WORLD["key"]}, timeout=PATIENCE, **arguments)


class Prepared:
    """A function with an archive. The fuzzer may delete it like any other: then there is another one."""

    def __init__(self):
        self.path = None

    def region_and_id(self):
        with LOCK:
            if self.path is None or ask("GET", self.path).json().get("status") in (None, "deleting"):
                self.path = self.make()
        region, _, function_id = self.path.split("/")
        return {"region": region, "function_id": function_id}

    @staticmethod
    def make():
        name = f"prepared-{time.monotonic_ns()}"
        namespace = ask("POST", "fr-par/namespaces", json={"name": name}).json()["id"]
        body = {"name": name, "namespace_id": namespace, "runtime": "node10"}
        path = f"fr-par/functions/{ask('POST', 'fr-par/functions', json=body).json()['id']}"
        url = ask("GET", f"{path}/upload-url", params={"content_length": len(ARCHIVE)}).json()["url"]
        requests.put(url, data=ARCHIVE, timeout=PATIENCE).raise_for_status()
        return path


# One whose archive deploys, and one that takes archives of any bytes.
DEPLOYED, UPLOADED = Prepared(), Prepared()


def name(case):
    return case.operation.definition.raw["operationId"]


def follow(case, prepared, kind, **query):
    """The case goes to a presigned URL."""
    place = prepared.region_and_id()
    path = f"{place['region']}/functions/{place['function_id']}/{kind}"
    parts = urlsplit(ask("GET", path, params=query).json()["url"])
    case.path_parameters = {"key": parts.path.rsplit("/", 1)[1]}
    case.query = dict(parse_qsl(parts.query))


def ask_well(operation, query):
    """What no schema says of a good query: exactly one of three ids (those from links are real), no lines but known ones."""
    left_out = {"before", "after"} if operation == "listLogs" else set()
    if operation == "issueToken":
        named = [key for key in ("namespace_id", "function_id", "container_id") if key in query]
        left_out = set(sorted(named, key=lambda key: len(str(query[key])) == 36)[:-1])
    return {key: value for key, value in query.items() if key not in left_out}


def is_good(case):
    return case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE


def say(case):
    """What no schema says of a good body: a free name, a schedule, the caller's organization."""
    body = case.body
    if "name" in body:
        body["name"] = f"{body['name'][:40]}{next(SEEN['name'])}"
    if isinstance(body.get("schedule"), str):
        body["schedule"] = next(SCHEDULES)
    for key in ("organization_id", "registry_image", "handler"):
        body.pop(key, None)
    if isinstance(body.get("min_scale"), (int, float)) and isinstance(body.get("max_scale"), (int, float)):
        body["min_scale"] = min(body["min_scale"], body["max_scale"])


def note(case, response):
    """What was made within what, and what was deleted."""
    if not 200 <= response.status_code < 300:
        return
    if name(case).startswith("create"):
        made = response.json()
        WITHIN[made.get("id")] = [made[key] for key in ("namespace_id", "application_id") if key in made]
    if case.method == "DELETE":
        DELETED.update(value for key, value in case.path_parameters.items() if key != "region")


def went_along(resource_id):
    """With a thing all that is within it goes, which the tool does not know."""
    return resource_id in DELETED or any(went_along(outer) for outer in WITHIN.get(resource_id, ()))


def go_on(exception, *, ctx, settings, **rest):
    """Ways along links end when the same step is answered otherwise than before, as a name that is taken by now is. That
    is a server's nature, so the rest of them follow, with a fresh seed; what was found stays found."""
    status, again, said = CLASSIFY(exception, ctx=ctx, settings=settings, **rest)
    if status is not Status.ERROR and (isinstance(exception, Flaky) or is_inconsistent_replay(exception)):
        again = again or ctx.completed_scenarios < settings.max_examples
    return status, again, said


# There is no setting for it.
CLASSIFY, ways._classify_suite_error = ways._classify_suite_error, go_on


@schemathesis.hook
def before_call(context, case, kwargs):
    """Some of the good cases. The others, and those that are meant to be wrong, stay as they are."""
    if not is_good(case):
        return
    operation = name(case)
    turn = next(SEEN[operation])
    if case.query and turn % RAW:
        case.query = ask_well(operation, case.query)
    if isinstance(case.body, dict) and turn % RAW:
        case.body = dict(case.body)
        say(case)
    if operation not in LED or turn % LED[operation]:
        return
    match operation:
        case "putArchive":
            case.body = case.body if isinstance(case.body, bytes) and case.body else b"no zip"
            follow(case, UPLOADED, "upload-url", content_length=len(case.body))
        case "getArchive":
            follow(case, DEPLOYED, "download-url")
        case "getFunctionDownloadUrl" | "getFunctionUploadUrl":
            case.path_parameters = UPLOADED.region_and_id()
        case "deployFunction" if next(SEEN["deploys"]) < WORLD["deploys"]:
            case.path_parameters = DEPLOYED.region_and_id()


@schemathesis.hook
def after_call(context, case, response):
    note(case, response)
    meta = case.meta
    line = {
        "operation": name(case),
        "method": case.method,
        "status": response.status_code,
        "phase": meta.phase.name.value if meta else None,
        "mode": meta.generation.mode.value if meta else None,
    }
    with LOCK:
        REPORT.write(json.dumps(line) + "\n")


# What a good case may be refused for all the same: no schema says it. Operation, argument, and the words.
UNSAID = [
    # Names are taken by what was made before.
    ("create", "name", "already exists"),
    # One argument bounds another one.
    ("create|update", "min_scale|max_scale", "is above max_scale"),
    ("listUsage", "from", "is after the day in to"),
    # Grammars that are no pattern: cron, an image's name, handlers, which depend on the runtime.
    ("createCron|updateCron", "schedule", ""),
    ("createContainer|updateContainer", "registry_image", ""),
    ("createFunction|updateFunction", "handler", ""),
    # NUL can't be stored, and would be a pattern at every text.
    ("create|update", "", "NUL"),
    # Exactly one of three, and a date to come.
    ("issueToken", "namespace_id", "only one of|is required"),
    ("issueToken", "expiration_date", ""),
    # Ids of lines, as another answer has them.
    ("listLogs", "before|after", ""),
    # A URL's own query says how long a body it is good for, and until when.
    ("putArchive|getArchive", "", ""),
]


def is_unsaid(operation, detail):
    return any(
        re.match(operations, operation)
        and re.fullmatch(arguments or ".*", detail["argument_name"])
        and re.search(words, detail["help_message"])
        for operations, arguments, words in UNSAID
    )


def is_gone(case):
    """The case again, when what it names is no longer `deleting`: deletes end a moment later, as the API says."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if case.call(headers={"X-Auth-Token": WORLD["key"]}, timeout=PATIENCE).status_code == 404:
            return True
        time.sleep(0.1)
    return False


@schemathesis.hook
def filter_failure(context, failure, case, response):
    operation, kind = name(case), type(failure).__name__
    if kind == "RejectedPositiveData" and response.status_code == 400:
        details = response.json().get("details", [])
        return not (details and all(is_unsaid(operation, detail) for detail in details))
    if kind == "AcceptedNegativeData":
        # The same as nothing, where an argument may be absent: `null`, an empty text. Of several the last one counts.
        pairs = parse_qsl(urlsplit(response.request.url).query, keep_blank_values=True)
        last = dict(pairs)
        return not (
            case.body is None
            or response.request.body in (b"null", "null")
            or "" in last.values()
            or len(last) < len(pairs)
        )
    if kind == "EnsureResourceAvailability":
        # Not what was made is missing when the answer names another one: a cron is made for a function that is not there.
        resource_id = response.json().get("resource_id")
        return resource_id in (case.path_parameters or {}).values() and not went_along(resource_id)
    if kind == "UseAfterFree":
        return not is_gone(case)
    return True
