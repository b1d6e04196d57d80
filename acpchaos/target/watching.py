"""Following one kind of object: list once, then watch, resume, and say when the view was lost.

Room: target. Raw JSON, since typed models cost ten times the CPU. It must not know what the
changes mean.
"""

import json
import threading
from collections.abc import Iterator
from typing import Any

from acpchaos.target.cluster import ApiRefused, Cluster, Object
from acpchaos.target.kinds import path_of

WATCH_S = 45  # the server ends each watch after this; a dead connection is noticed 10 s later
RETRY_S = 0.5


def follow(
    cluster: Cluster, kind: str, namespace: str, stop: threading.Event, selector: str = ""
) -> Iterator[tuple[str, Object]]:
    """Endless changes of a kind: (ADDED | MODIFIED | DELETED, object) until `stop` is set.

    ("SYNCED", {}) follows each full list, and ("LOST", {}) comes when the view was interrupted.
    After a list is repeated (HTTP 410), objects that vanished meanwhile come as DELETED.
    Kinds without a namespace ignore `namespace`.
    """
    known: dict[str, Object] = {}
    version = ""
    while not stop.is_set():
        try:
            if not version:
                items, version = _list(cluster, kind, namespace, selector)
                yield from _differences(known, items)
                yield "SYNCED", {}
            for change, item in _watch(cluster, kind, namespace, selector, version, stop):
                version = item["metadata"]["resourceVersion"]
                if change == "BOOKMARK":
                    continue
                _remember(known, change, item)
                yield change, item
        except ApiRefused as error:
            version = "" if error.status == 410 else version
            yield "LOST", {}
            stop.wait(RETRY_S)
            if version:  # the resumed watch catches up from here, so the view is whole again
                yield "SYNCED", {}


def _list(cluster: Cluster, kind: str, namespace: str, selector: str) -> tuple[list[Object], str]:
    query = {"labelSelector": selector} if selector else {}
    answer = json.loads(cluster.call("GET", path_of(kind, namespace), query=query, timeout_s=60))
    return answer.get("items") or [], answer["metadata"]["resourceVersion"]


def _watch(
    cluster: Cluster, kind: str, namespace: str, selector: str, version: str, stop: threading.Event
) -> Iterator[tuple[str, Object]]:
    query: dict[str, Any] = {
        "watch": "true",
        "resourceVersion": version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": WATCH_S,
    }
    if selector:
        query["labelSelector"] = selector
    path = path_of(kind, namespace)
    for line in cluster.lines(path, query, read_s=WATCH_S + 10):
        event = json.loads(line)
        if event["type"] == "ERROR":
            status = event["object"]
            raise ApiRefused(f"watch {path}", status.get("code", 0), status.get("message", ""))
        if stop.is_set():
            return
        yield event["type"], event["object"]


def _differences(known: dict[str, Object], items: list[Object]) -> Iterator[tuple[str, Object]]:
    fresh = {item["metadata"]["uid"]: item for item in items}
    for uid in [uid for uid in known if uid not in fresh]:
        yield "DELETED", known.pop(uid)
    for uid, item in fresh.items():
        change = "MODIFIED" if uid in known else "ADDED"
        known[uid] = item
        yield change, item


def _remember(known: dict[str, Object], change: str, item: Object) -> None:
    if change == "DELETED":
        known.pop(item["metadata"]["uid"], None)
    else:
        known[item["metadata"]["uid"]] = item
