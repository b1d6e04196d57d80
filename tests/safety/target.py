"""The target of the proofs: the fake API server's scene, what of it must come back, and a fast
clock for those who wait."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_api import scene
from fake_api.server import FakeApi
from fake_api.store import Store

from acpchaos import wait
from acpchaos.record.mutations import read_chain

MUTATING = ("POST", "PUT", "PATCH", "DELETE")
# these come and go by themselves, or tell who leads; pods are counted, claims named below
_TRANSIENT = (
    "pods", "persistentvolumes", "persistentvolumeclaims", "leases", "events", "endpoints",
    "endpointslices",
)  # fmt: skip
_OWN = ("uid", "resourceVersion", "generation", "creationTimestamp")


def fresh(api: FakeApi) -> None:
    """The scene as new, with volumes that follow their claims as a provisioner does it."""
    api._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that died
    api.store = store = Store()
    store.terminate_s = 0.0
    scene.build(api)
    drop = store.drop

    def both(key: tuple[str, str, str]) -> None:
        if key[0] == "persistentvolumeclaims":
            volume = ("persistentvolumes", "", store.get(key)["spec"]["volumeName"])
            if volume in store.objects:
                drop(volume)
        drop(key)

    store.drop = both  # type: ignore[method-assign]


def fresh_and_whole(api: FakeApi) -> None:
    """The larger scene as new: six Redis nodes, Patroni, services of the cluster."""
    fresh(api)
    scene.whole(api)


def state(api: FakeApi) -> dict[str, Any]:
    """Everything that a run must leave as it was, by kind, namespace and name."""
    with api.store.lock:
        api.store.reconcile()
        api.store.reconcile()
        kept: dict[str, Any] = {}
        pods: dict[str, int] = {}
        for (plural, space, name), item in api.store.objects.items():
            if plural == "pods":
                app = str(sorted((item["metadata"].get("labels") or {}).items()))
                pods[app] = pods.get(app, 0) + 1
            if plural == "persistentvolumeclaims":
                kept[f"{plural}/{space}/{name}"] = True
            if plural in _TRANSIENT:
                continue
            body = {k: v for k, v in item.items() if k not in ("status", "metadata", "kind")}
            body.pop("apiVersion", None)
            meta = {k: v for k, v in item["metadata"].items() if k not in _OWN and v}
            kept[f"{plural}/{space}/{name}"] = _pruned(body | {"metadata": meta})
        return kept | {"pods by label": pods}


def _pruned(item: Any) -> Any:
    """Without what is empty, which an API server does not store."""
    if not isinstance(item, dict):
        return item
    pruned = {key: _pruned(value) for key, value in item.items()}
    return {key: value for key, value in pruned.items() if value not in (None, {}, [])}


def left_behind(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What differs, by name."""
    return sorted(
        f"{key}: {before.get(key)} -> {after.get(key)}"
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    )


def changes(api: FakeApi) -> list[str]:
    """Calls that change something, in their order; an access review is a question."""
    calls = [call for call in api.store.calls if call.startswith(MUTATING)]
    return [call for call in calls if not call.endswith("/selfsubjectaccessreviews")]


def unmatched(api: FakeApi, journal: Path) -> list[str]:
    """Journal against the server's own log, both ways. A call without an outcome may be in it."""
    chain = read_chain(journal) if journal.exists() else None
    sure: list[str] = []
    maybe: list[str] = []
    for line in chain.calls if chain else []:
        call = f"{line.method} {line.path}"
        if line.method not in ("EXEC", "ENGINE"):
            (maybe if call in chain.unfinished else sure).append(call)  # type: ignore[union-attr]
    faults = []
    for call in changes(api):
        if call in sure:
            sure.remove(call)
        elif call in maybe:
            maybe.remove(call)
        else:
            faults.append(f"not in the journal: {call}")
    return faults + [f"not in the server's log: {call}" for call in sure]


@contextmanager
def impatient(most_s: float = 0.01) -> Iterator[None]:
    """Waits look again after `most_s`; their budgets stay."""
    defaults = dict(wait.eventually.__kwdefaults__)
    with pytest.MonkeyPatch.context() as patch:
        nap = time.sleep  # noqa: TID251
        patch.setitem(wait.eventually.__kwdefaults__, "sleep", lambda s: nap(min(s, most_s)))
        yield
    assert wait.eventually.__kwdefaults__ == defaults


@contextmanager
def hurried(most_s: float = 0.01) -> Iterator[None]:
    """As `impatient`, and what is not slept passes all the same: a wait looks as often as it would,
    and one for what never comes is soon over. Only where nothing but this process is awaited."""
    own = threading.local()

    def sleep(for_s: float) -> None:
        nap_s = min(for_s, most_s)
        own.passed_s = getattr(own, "passed_s", 0.0) + for_s - nap_s
        time.sleep(nap_s)  # noqa: TID251

    def clock() -> float:
        return time.monotonic() + float(getattr(own, "passed_s", 0.0))

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(wait.eventually.__kwdefaults__, "sleep", sleep)
        patch.setitem(wait.eventually.__kwdefaults__, "clock", clock)
        yield
