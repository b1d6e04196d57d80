"""Redis as its nodes see it, once a second, for the whole play.

Room: stores. One long exec per pod, so a sample costs no handshake; a pod that is replaced is
picked up again under its name. It must not judge: an unreachable node is an event, not an error.
"""

import threading
from collections.abc import Callable, Sequence

from acpchaos.errors import AcpchaosError
from acpchaos.record.events import Clock, RedisNode
from acpchaos.record.journal import Journal
from acpchaos.stores.exec import Follow
from acpchaos.stores.redis_cluster import EVERY_SECOND, NodeView, stream

RETRY_S = 1.0


class RedisObserver:
    """Writes RedisNode events of every pod of the cluster until stopped."""

    def __init__(
        self, follow: Follow, pods: Callable[[], Sequence[str]], container: str, journal: Journal
    ) -> None:
        self._follow, self._pods, self._container = follow, pods, container
        self._journal, self._clock, self._stop = journal, Clock(), threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """One thread per pod that exists now; a StatefulSet keeps the names."""
        for pod in self._pods():
            thread = threading.Thread(
                target=self._watch, args=(pod,), name=f"redis-{pod}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End all looks."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=3)

    def _watch(self, pod: str) -> None:
        while not self._stop.is_set():
            try:
                lines = self._follow(pod, self._container, EVERY_SECOND, self._stop)
                for view in stream(lines, pod):
                    self._write(view)
            except AcpchaosError:
                pass  # the pod is away; told below
            if not self._stop.is_set():
                self._write(NodeView(pod=pod, reachable=False))
                self._stop.wait(RETRY_S)

    def _write(self, view: NodeView) -> None:
        self._journal.write(
            RedisNode(
                t_ns=self._clock.now_ns(),
                pod=view.pod,
                reachable=view.reachable,
                run_id=view.run_id,
                role=view.role,
                state=view.state,
                slots=view.slots_ok,
                keys=view.keys,
                link_up=view.link_up,
                node_timeout_ms=view.node_timeout_ms,
            )
        )
