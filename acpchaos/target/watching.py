"""Following one kind of object: list once, then watch, resume, and say when the view was lost.

Room: target. Only the fields of the caller's shape are decoded, by msgspec: a fiftieth of the CPU
and a tenth of the memory of the official client's models. It must not know what the changes mean.
"""

import threading
import time
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import msgspec
import urllib3

from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.kinds import path_of

WATCH_S = 20  # the server ends each watch after this
DEAD_S = 5.0  # so much later a connection without a word is given up
RETRY_S = 0.5
LIST_S = 60.0


class Meta(msgspec.Struct, rename="camel", gc=False):
    """The metadata that following needs, and what shapes are usually asked for."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None


class Shape(msgspec.Struct, rename="camel"):
    """Base of what a caller wants of an object. Every field needs a default, since a bookmark or an
    error has none of them; what the API may leave out or send as null is `| None`."""

    metadata: Meta = msgspec.field(default_factory=Meta)


S = TypeVar("S", bound=Shape)


class Change[S: Shape](NamedTuple):
    """ADDED, MODIFIED or DELETED with an `item`; or, without one:

    LOST: the view was interrupted, `why`; nothing had come for `quiet_s` seconds.
    SYNCED: the view is whole. After a loss: `missed` tells that objects changed without being seen
    to, at any moment since the last word from before; else nothing can have escaped but from the
    loss on.
    """

    what: str
    item: S | None = None
    why: str = ""
    quiet_s: float = 0.0
    missed: bool = False


class _Frame[S: Shape](msgspec.Struct, gc=False):
    type: str
    object: S


class _Items[S: Shape](msgspec.Struct):
    metadata: Meta
    items: list[S] | None = None


class _Status(msgspec.Struct):
    code: int = 0
    message: str = ""


class _ErrorFrame(msgspec.Struct):
    object: _Status


def listed[S: Shape](
    cluster: Cluster, kind: str, namespace: str, shape: type[S], selector: str = "", most: int = 0
) -> tuple[list[S], str]:
    """(objects, resource version) of one list, of its first `most` where that is given; ApiRefused
    where there is none to be had."""
    path, query = path_of(kind, namespace), {"labelSelector": selector} if selector else {}
    query |= {"limit": str(most)} if most else {}
    body = cluster.call("GET", path, query=query, timeout_s=LIST_S)
    try:
        # the class is generic, so its type is only known here
        found = msgspec.json.decode(body, type=_Items[shape])  # type: ignore[valid-type]
    except msgspec.DecodeError as error:
        raise ApiRefused(f"GET {path}", 0, f"not a list: {error}") from None
    return found.items or [], found.metadata.resource_version


def follow[S: Shape](
    cluster: Cluster, kind: str, namespace: str, stop: threading.Event, shape: type[S],
    selector: str = "", *, only_new: bool = False,
) -> Iterator[Change[S]]:  # fmt: skip
    """Endless changes of a kind until `stop` is set: a list, SYNCED, and what a watch tells.

    A lost watch is resumed where it ended, over resets, dead connections and an API server that is
    away. Where its version is gone (HTTP 410) the list is repeated: only what differs is told, and
    objects that vanished meanwhile come as DELETED. Kinds without a namespace ignore `namespace`.

    `only_new`: what was there before is neither told nor kept in memory, however much that is, and
    a list that is repeated tells nothing, so that something may always have been missed.
    """
    return _Follower(cluster, kind, namespace, stop, shape, selector, only_new).changes()


class _Silent(ApiRefused):
    """The connection died without a word, so it may have been dead for long."""


class _Follower[S: Shape]:
    """State of one `follow`."""

    def __init__(
        self, cluster: Cluster, kind: str, namespace: str, stop: threading.Event, shape: type[S],
        selector: str, only_new: bool,
    ) -> None:  # fmt: skip
        self._only_new = only_new
        self._cluster, self._kind, self._namespace = cluster, kind, namespace
        self._stop, self._shape, self._selector = stop, shape, selector
        self._frames = msgspec.json.Decoder(_Frame[shape])  # type: ignore[valid-type]
        self._known: dict[str, S] = {}
        self._version = ""
        self._whole = True  # the view, or there never was one
        self._heard_s = time.monotonic()

    def changes(self) -> Iterator[Change[S]]:
        dead = False
        while not self._stop.is_set():
            try:
                missed = dead
                if not self._version:
                    missed = missed or self._only_new
                    for change in self._list():
                        missed = True
                        yield change
                    yield Change("SYNCED", missed=missed and not self._whole)
                    self._whole = True
                for opened in self._watch():
                    if opened is None:
                        if not self._whole:
                            yield Change("SYNCED", missed=dead)
                        self._whole, dead = True, False
                    else:
                        yield opened
            except ApiRefused as error:
                self._version = "" if error.status == 410 else self._version
                dead = dead or isinstance(error, _Silent)
                if self._whole:
                    quiet_s = time.monotonic() - self._heard_s
                    yield Change("LOST", why=error.message, quiet_s=quiet_s)
                self._whole = False
                self._stop.wait(RETRY_S)

    def _list(self) -> Iterator[Change[S]]:
        """What differs from what is known."""
        items, version = listed(
            self._cluster, self._kind, self._namespace, self._shape, self._selector,
            most=1 if self._only_new else 0,
        )  # fmt: skip
        fresh = {} if self._only_new else {item.metadata.uid: item for item in items}
        known, self._known = self._known, fresh
        for uid, item in known.items():
            if uid not in fresh:
                yield Change("DELETED", item)
        for uid, item in fresh.items():
            before = known.get(uid)
            if before is None:
                yield Change("ADDED", item)
            elif before.metadata.resource_version != item.metadata.resource_version:
                yield Change("MODIFIED", item)
        self._version, self._heard_s = version, time.monotonic()

    def _watch(self) -> Iterator[Change[S] | None]:
        """None once the server has taken the watch up, then changes until it ends."""
        path = path_of(self._kind, self._namespace)
        query = {
            "watch": "true", "resourceVersion": self._version, "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_S,
        }  # fmt: skip
        if self._selector:
            query["labelSelector"] = self._selector
        response = self._cluster.open("GET", path, query, timeout_s=WATCH_S + DEAD_S)
        try:
            self._heard_s = time.monotonic()
            yield None
            rest = b""
            for chunk in response.stream(65536, decode_content=True):
                self._heard_s = time.monotonic()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if self._stop.is_set():
                        return
                    if line and (change := self._change(path, line)):
                        yield change
        except urllib3.exceptions.ReadTimeoutError:
            raise _Silent(f"watch {path}", 0, f"no word for {WATCH_S + DEAD_S:g} s") from None
        except urllib3.exceptions.HTTPError as error:
            raise ApiRefused(f"watch {path}", 0, str(error)) from None
        finally:
            response.close()

    def _change(self, path: str, line: bytes) -> Change[S] | None:
        """What a line of a watch tells; None for a bookmark."""
        try:
            frame = self._frames.decode(line)
            if frame.type == "ERROR":
                status = msgspec.json.decode(line, type=_ErrorFrame).object
                raise ApiRefused(f"watch {path}", status.code, status.message)
        except msgspec.DecodeError as error:
            raise ApiRefused(f"watch {path}", 0, f"not a watch: {error}") from None
        item: S = frame.object
        self._version = item.metadata.resource_version
        if frame.type == "BOOKMARK":
            return None
        if frame.type == "DELETED":
            self._known.pop(item.metadata.uid, None)
        elif not self._only_new:
            self._known[item.metadata.uid] = item
        return Change(frame.type, item)
