"""A fake Google Cloud Storage in memory, with what gcsfs and TensorStore use of the JSON API.

    python tests/fake_gcs.py PORT

holds the bucket `bucket` until it is killed. Every object has a generation, and conditions on it
are kept (https://cloud.google.com/storage/docs/request-preconditions): TensorStore builds on them.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

BUCKET = "bucket"


class Stored(NamedTuple):
    data: bytes
    generation: int
    updated: str


class StatusError(Exception):
    """An HTTP status to answer with instead of a result."""


class Answer(NamedTuple):
    body: bytes | dict[str, Any] = b""
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})


_objects: dict[str, Stored] = {}
_uploads: dict[str, tuple[str, dict[str, str], bytes]] = {}
_numbers = itertools.count(1)
_lock = threading.Lock()


def described(name: str) -> dict[str, Any]:
    stored = _objects[name]
    return {
        "kind": "storage#object",
        "bucket": BUCKET,
        "name": name,
        "size": str(len(stored.data)),
        "generation": str(stored.generation),
        "metageneration": "1",
        "timeCreated": stored.updated,
        "updated": stored.updated,
        "md5Hash": base64.b64encode(hashlib.md5(stored.data).digest()).decode(),
    }


def check(name: str, asked: dict[str, str], reading: bool = False) -> None:
    """Checks `ifGenerationMatch` and `ifGenerationNotMatch`; 0 means that there is no object."""
    stored = _objects.get(name)
    generation = str(stored.generation) if stored else "0"
    if asked.get("ifGenerationMatch", generation) != generation:
        raise StatusError(412)
    if asked.get("ifGenerationNotMatch") == generation:
        raise StatusError(304 if reading else 412)


def put(name: str, data: bytes, asked: dict[str, str]) -> Answer:
    check(name, asked)
    _objects[name] = Stored(
        data, next(_numbers), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    )
    return Answer(described(name))


def get(name: str, asked: dict[str, str], media: bool, within: str | None) -> Answer:
    check(name, asked, reading=True)
    if name not in _objects:
        raise StatusError(404)
    if not media:
        return Answer(described(name))
    data, generation, _ = _objects[name]
    headers = {"x-goog-generation": str(generation), "x-goog-metageneration": "1"}
    if not within:
        return Answer(data, 200, headers)
    first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", within).groups()
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last) + 1, len(data)) if first and last else len(data)
    if start >= len(data):
        raise StatusError(416)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
    return Answer(data[start:end], 206, headers)


def delete(name: str, asked: dict[str, str]) -> Answer:
    check(name, asked)
    if name not in _objects:
        raise StatusError(404)
    del _objects[name]
    return Answer(status=204)


def copy(name: str, to: str, asked: dict[str, str], *, move: bool) -> Answer:
    if name not in _objects:
        raise StatusError(404)
    answer = put(to, _objects[name].data, asked)
    if move:
        del _objects[name]
        return answer
    return Answer({"kind": "storage#rewriteResponse", "done": True, "resource": answer.body})


def listed(asked: dict[str, str]) -> Answer:
    """Returns a page of at most `maxResults` names and prefixes, from where the last one ended."""
    prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
    entries: dict[str, bool] = {}  # name or prefix: is it a prefix?
    for name in sorted(_objects):
        if not name.startswith(prefix) or not within_offsets(name, asked):
            continue
        head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
        entries[prefix + head + found if found else name] = bool(found)
    rest = [entry for entry in entries if entry > asked.get("pageToken", "")]
    page = rest[: int(asked.get("maxResults", 1000))]
    answer: dict[str, Any] = {"kind": "storage#objects"}
    answer["items"] = [described(entry) for entry in page if not entries[entry]]
    answer["prefixes"] = [entry for entry in page if entries[entry]]
    if len(page) < len(rest):
        answer["nextPageToken"] = page[-1]
    return Answer(answer)


def within_offsets(name: str, asked: dict[str, str]) -> bool:
    end = asked.get("endOffset")
    return name >= asked.get("startOffset", "") and (not end or name < end)


def upload(asked: dict[str, str], headers: Any, body: bytes) -> Answer:
    """Handles an upload in one request (`media`, `multipart`) or the first of a `resumable` one."""
    if asked["uploadType"] == "media":
        return put(asked["name"], body, asked)
    if asked["uploadType"] == "resumable":
        number = str(next(_numbers))
        _uploads[number] = asked["name"], asked, b""
        place = f"http://{headers['Host']}/upload/storage/v1/b/{BUCKET}/o"
        return Answer({}, 200, {"Location": f"{place}?uploadType=resumable&upload_id={number}"})
    mark = b"--" + re.search(r'boundary="?([^";]+)', headers["Content-Type"])[1].encode()
    _, about, content = body[: body.rindex(b"\n" + mark)].split(mark, 2)
    blank = re.compile(rb"\r?\n\r?\n")
    name = json.loads(blank.split(about, maxsplit=1)[1])["name"]
    return put(name, blank.split(content, maxsplit=1)[1], asked)


def go_on(number: str, headers: Any, body: bytes) -> Answer:
    """Handles a chunk of a resumable upload: `bytes */N` has no data, `bytes a-b/N` is the last."""
    name, asked, before = _uploads[number]
    whole = before + body
    if not headers["Content-Range"].endswith(f"/{len(whole)}"):
        _uploads[number] = name, asked, whole
        return Answer(b"", 308, {"Range": f"bytes=0-{len(whole) - 1}"})
    del _uploads[number]
    return put(name, whole, asked)


def answer(method: str, path: str, asked: dict[str, str], headers: Any, body: bytes) -> Answer:
    if "upload_id" in asked:
        return go_on(asked["upload_id"], headers, body)
    parts = re.fullmatch(
        rf"/?(?P<kind>upload/|download/)?storage/v1/b/{BUCKET}(?P<o>/o)?(/(?P<name>.+))?", path
    )
    if not parts:
        raise StatusError(404)
    if parts["kind"] == "upload/":
        return upload(asked, headers, body)
    name = parts["name"] or ""
    if method == "POST":
        name, how, to = re.split(rf"/(moveTo|rewriteTo/b/{BUCKET}|copyTo/b/{BUCKET})/o/", name)
        return copy(unquote(name), unquote(to), asked, move=how == "moveTo")
    if method == "DELETE":
        return delete(unquote(name), asked)
    if name:
        media = asked.get("alt") == "media"
        return get(unquote(name), asked, media, headers.get("Range"))
    return listed(asked) if parts["o"] else Answer({"kind": "storage#bucket", "name": BUCKET})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        asked = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            with _lock:
                said = answer(self.command, url.path, asked, self.headers, body)
        except StatusError as error:
            said = Answer(status=error.args[0])
        content = json.dumps(said.body).encode() if isinstance(said.body, dict) else said.body
        self.send_response(said.status)
        for key, value in said.headers.items():
            self.send_header(key, value)
        if said.status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


for _method in ("GET", "POST", "PUT", "DELETE"):
    setattr(Handler, f"do_{_method}", Handler.handle_any)


class Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    Server(("localhost", int(sys.argv[1])), Handler).serve_forever()
