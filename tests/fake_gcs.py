"""A Google Cloud Storage of one's own: `gcp-storage-emulator` with the one call that it lacks.

    python tests/fake_gcs.py PORT

holds a bucket `bucket` in memory until it is killed.
"""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.handlers import objects
from gcp_storage_emulator.settings import API_ENDPOINT


def move(request: Any, response: Any, storage: Any, *_: Any, **__: Any) -> None:
    """`moveTo`, with which gcsfs renames: a copy, then the first one deleted."""
    params = request.params
    copied = SimpleNamespace(
        base_url=request.base_url,
        params={**params, "dest_bucket_name": params["bucket_name"]},
    )
    objects.copy(copied, response, storage)
    objects.delete(copied, SimpleNamespace(), storage)


def routes(prefix: str) -> tuple:
    names = r"(?P<bucket_name>[-.\w]+)/o/(?P<object_id>.*[^/]+)/moveTo/o/(?P<dest_object_id>.+)$"
    return (rf"^{prefix}/b/{names}", {server.POST: move})


if __name__ == "__main__":
    server.HANDLERS = (routes(API_ENDPOINT), routes(""), *server.HANDLERS)
    server.create_server("localhost", int(sys.argv[1]), True, default_bucket="bucket").start()
    time.sleep(3600)
