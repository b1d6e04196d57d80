"""A watch over whatever ends it: resumed where it ended, told as lost for exactly so long."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import urllib3

from acpchaos.record import shapes
from acpchaos.target import watching
from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.watching import Change, follow

RESET = urllib3.exceptions.ProtocolError("Connection broken: reset by peer")
SILENT = urllib3.exceptions.ReadTimeoutError(None, "", "Read timed out.")  # type: ignore[arg-type]
REFUSED = ApiRefused("GET", 0, "connection refused")
GONE = ApiRefused("GET", 410, "too old resource version")


def node(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}}


def line(change: str, name: str, version: int) -> bytes:
    return msgspec.json.encode({"type": change, "object": node(name, version)}) + b"\n"


def error(code: int) -> bytes:
    status = {"kind": "Status", "metadata": {}, "code": code, "message": "gone"}
    return msgspec.json.encode({"type": "ERROR", "object": status}) + b"\n"


class Scripted:
    """Answers lists and watches in the order given. A watch is refused, or chunks and how it ends;
    a number is so many seconds without a word."""

    def __init__(self, lists: list[Any], watches: list[Any]) -> None:
        self.lists, self.watches, self.now_s = lists, watches, 100.0
        self.listed, self.resumed = 0, []
        self.limits: list[str] = []
        self.stop = threading.Event()

    def call(self, method: str, path: str, **given: Any) -> bytes:
        self.listed += 1
        self.limits.append(given["query"].get("limit", ""))
        answer = self.lists.pop(0)
        if isinstance(answer, Exception):
            raise answer
        version, items = answer
        metadata = {"resourceVersion": str(version)}
        return msgspec.json.encode({"metadata": metadata, "items": items})

    def open(self, method: str, path: str, query: dict[str, Any], timeout_s: float) -> Any:
        self.resumed.append(query["resourceVersion"])
        if not self.watches:
            self.stop.set()
            raise REFUSED
        watch = self.watches.pop(0)
        if isinstance(watch, Exception):
            raise watch
        return SimpleNamespace(stream=lambda *_, **__: self._stream(watch), close=lambda: None)

    def _stream(self, parts: list[Any]) -> Iterator[bytes]:
        for part in parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, int):
                self.now_s += part
            else:
                yield part

    def seen(
        self, monkeypatch: pytest.MonkeyPatch, *, only_new: bool = False
    ) -> list[Change[shapes.Node]]:
        monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        monkeypatch.setattr(watching, "RETRY_S", 0.0)
        cluster: Cluster = self  # type: ignore[assignment]
        return list(follow(cluster, "nodes", "", self.stop, shapes.Node, only_new=only_new))


def told(changes: list[Change[shapes.Node]]) -> list[Any]:
    """Without what the script's own end adds."""
    assert changes[-1].what == "LOST"
    return [
        (change.what, change.item.metadata.name) if change.item else (change.what, change.missed)
        for change in changes[:-1]
    ]


WHOLE = [("ADDED", "a"), ("SYNCED", False)]


def test_an_api_server_that_restarts_is_one_loss_until_it_really_serves_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Scripted(
        [(5, [node("a", 3)])],
        [[line("MODIFIED", "a", 6), RESET], REFUSED, REFUSED, ApiRefused("GET", 503, "starting"),
         [line("MODIFIED", "a", 7)]],
    )  # fmt: skip
    seen = cluster.seen(monkeypatch)
    assert told(seen) == [
        *WHOLE, ("MODIFIED", "a"), ("LOST", False), ("SYNCED", False), ("MODIFIED", "a"),
    ]  # fmt: skip
    assert cluster.listed == 1 and cluster.resumed == ["5", "6", "6", "6", "6", "7"]
    assert "reset by peer" in next(change.why for change in seen if change.what == "LOST")


def test_a_change_cut_in_its_line_is_told_once_by_the_watch_that_resumes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = line("ADDED", "b", 6)
    watches = [[whole[:30], RESET], [whole[:9], whole[9:]], [whole[:1]]]
    cluster = Scripted([(5, [node("a", 3)])], watches)
    assert told(cluster.seen(monkeypatch)) == [
        *WHOLE, ("LOST", False), ("SYNCED", False), ("ADDED", "b"),
    ]  # fmt: skip
    assert cluster.resumed == ["5", "5", "6", "6"]


@pytest.mark.parametrize("gone", [GONE, [error(410)]], ids=["HTTP 410", "ERROR 410"])
def test_where_the_history_is_gone_only_what_differs_is_told_and_that_it_was_missed(
    gone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = [(5, [node("a", 3), node("b", 4), node("c", 5)]),
             (9, [node("a", 3), node("b", 8), node("d", 9)])]  # fmt: skip
    cluster = Scripted(lists, [gone, []])
    assert told(cluster.seen(monkeypatch))[4:] == [
        ("LOST", False), ("DELETED", "c"), ("MODIFIED", "b"), ("ADDED", "d"), ("SYNCED", True),
    ]  # fmt: skip
    assert cluster.resumed == ["5", "9", "9"]


def test_of_what_is_only_followed_anew_nothing_old_is_told_or_kept_or_vouched_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lists = [(5, [node("a", 3)]), (9, [node("b", 8)])]
    cluster = Scripted(lists, [[line("ADDED", "c", 6), error(410)], [line("ADDED", "d", 10)]])
    assert told(cluster.seen(monkeypatch, only_new=True)) == [
        ("SYNCED", False), ("ADDED", "c"), ("LOST", False), ("SYNCED", True), ("ADDED", "d"),
    ]  # fmt: skip
    assert cluster.resumed == ["5", "9", "10"] and cluster.limits == ["1", "1"]


def test_a_gone_history_in_which_nothing_happened_hid_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lists = [(5, [node("a", 3)]), REFUSED, (9, [node("a", 3)])]
    cluster = Scripted(lists, [[error(410)], []])
    assert told(cluster.seen(monkeypatch)) == [*WHOLE, ("LOST", False), ("SYNCED", False)]
    assert cluster.listed == 3


def test_a_connection_that_died_without_a_word_was_dead_since_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bookmark = line("BOOKMARK", "", 8)
    cluster = Scripted([(5, [node("a", 3)])], [[7, bookmark, 25, SILENT], REFUSED, []])
    seen = cluster.seen(monkeypatch)
    assert told(seen) == [*WHOLE, ("LOST", False), ("SYNCED", True)]
    assert seen[2].quiet_s == 25 and cluster.resumed == ["5", "8", "8", "8"]


@pytest.mark.parametrize("garbage", [b"<html>502</html>\n", b'{"type":"ADDED","object":7}\n'])
def test_what_is_no_watch_is_a_loss_not_a_crash(
    garbage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Scripted([(5, [node("a", 3)])], [[garbage], []])
    seen = cluster.seen(monkeypatch)
    assert told(seen) == [*WHOLE, ("LOST", False), ("SYNCED", False)]
    assert "not a watch" in seen[2].why


def test_a_first_list_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Scripted([REFUSED, (5, [node("a", 3)])], [[]])
    assert [change.what for change in cluster.seen(monkeypatch)] == [
        "LOST", "ADDED", "SYNCED", "LOST",
    ]  # fmt: skip
