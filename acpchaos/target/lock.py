"""One run at a time per target: a coordination Lease, renewed by a thread, that names its holder.

Room: target. A second run is refused at once and told who holds the target. The Lease of a runner
that died is taken over once it has expired. Times are this machine's; the lease is long enough
for clocks that differ by some seconds.
"""

import datetime as dt
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import TracebackType
from typing import Any, Self

from acpchaos.errors import GuardRefused
from acpchaos.target.cluster import ApiRefused, Cluster, Object

LEASE = "acpchaos"
LEASE_S = 30


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _stamp(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@contextmanager
def _unless(*statuses: int) -> Iterator[None]:
    """These refusals are no error here; the block just ends."""
    try:
        yield
    except ApiRefused as error:
        if error.status not in statuses:
            raise


class Lock:
    """The Lease, held while in a `with` block or between acquire and release."""

    def __init__(
        self, cluster: Cluster, namespace: str, run_id: str, lease_s: int = LEASE_S
    ) -> None:
        self._cluster, self._namespace = cluster, namespace
        self._healing = cluster.healing()  # a full disk must neither end nor outlast our hold
        self.run_id, self._lease_s = run_id, lease_s
        self.holder = f"{run_id} ({os.environ.get('USER', 'user')}@{socket.gethostname()})"
        self.lost = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> Self:
        """Take the Lease or raise GuardRefused naming the holder."""
        while not (self._created() or self._taken_over()):
            pass  # it was there, and gone when looked at: its holder has just released it
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()
        return self

    def release(self) -> None:
        """Stop renewing and remove the Lease, only if it is still ours."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self._lease_s)
            self._thread = None
        lease = self._cluster.find("Lease", LEASE, self._namespace)
        if lease is not None and lease["spec"].get("holderIdentity") == self.holder:
            # at exactly this version: someone may take it over in between, under the same UID
            meta = lease["metadata"]
            with _unless(404, 409):
                self._healing.delete(
                    "Lease", LEASE, self._namespace,
                    uid=meta["uid"], version=meta["resourceVersion"],
                )  # fmt: skip

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # what ended the block matters more than a Lease that expires by itself
        with suppress(ApiRefused) if error is not None else nullcontext():
            self.release()

    def _body(self) -> Object:
        now = _stamp(_now())
        spec: dict[str, Any] = {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self._lease_s,
            "acquireTime": now,
            "renewTime": now,
        }
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE, "namespace": self._namespace},
            "spec": spec,
        }

    def _created(self) -> bool:
        with _unless(409):
            self._cluster.create("Lease", self._body(), self._namespace)
            return True
        return False

    def _taken_over(self) -> bool:
        """Take an expired Lease; False when there is none any more."""
        lease = self._cluster.find("Lease", LEASE, self._namespace)
        if lease is None:
            return False
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") and not _expired(spec):
            raise self._refusal(spec)
        body = self._body()
        body["metadata"]["resourceVersion"] = lease["metadata"]["resourceVersion"]
        with _unless(404, 409):
            self._cluster.replace("Lease", body, self._namespace)
            return True
        return self._taken_over()  # someone was faster: look who

    def _refusal(self, spec: dict[str, Any]) -> GuardRefused:
        return GuardRefused(
            f"take the target for run {self.run_id}",
            f"it is held by {spec.get('holderIdentity')}, last seen {spec.get('renewTime')}",
            "wait for that run to end, or stop it and let its lease expire",
        )

    def _renew(self) -> None:
        while not self._stop.wait(self._lease_s / 3):
            try:
                lease = self._cluster.get("Lease", LEASE, self._namespace)
                if lease["spec"].get("holderIdentity") != self.holder:
                    self.lost.set()
                    return
                lease["spec"]["renewTime"] = _stamp(_now())
                self._healing.replace("Lease", lease, self._namespace)
            except ApiRefused as error:
                if error.status == 404:
                    self.lost.set()
                    return  # other errors pass by; the lease outlives two missed renewals


def holder_of(cluster: Cluster, namespace: str) -> str:
    """Who holds the target now; empty when nobody does."""
    lease = cluster.find("Lease", LEASE, namespace)
    if lease is None or _expired(lease.get("spec") or {}):
        return ""
    return str(lease["spec"].get("holderIdentity", ""))


def is_held_by(holder: str, run_id: str) -> bool:
    """Whether a holder, as `holder_of` tells it, is this run."""
    return holder.startswith(f"{run_id} (")


def _expired(spec: dict[str, Any]) -> bool:
    renewed = spec.get("renewTime") or spec.get("acquireTime")
    if not renewed:
        return True
    seen = dt.datetime.fromisoformat(renewed)
    return _now() - seen > dt.timedelta(seconds=spec.get("leaseDurationSeconds", LEASE_S))
