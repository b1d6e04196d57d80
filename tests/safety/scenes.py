"""Faults whose scene is more than the larger one, for R7: what their tests put beside it, and what
of the stores' inside must come back, too."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from fake_api import scene
from fake_api.network import Network
from fake_api.server import FakeApi
from faults import test_client_secret, test_exhaustion, test_memory, test_observers, test_passwords
from faults import test_disk as disk
from faults.cases import allowing_all

from acpchaos.faults import cuts, observers
from acpchaos.faults.fault import Fault
from acpchaos.faults.session import Session
from acpchaos.target.profile import ClusterService
from safety import target

Inside = Callable[[], list[str]]


class Scene(NamedTuple):
    """`prepare` makes the scene as new, and returns what tells of changes left inside a store."""

    make: Callable[[Session], Fault]
    prepare: Callable[[FakeApi, pytest.MonkeyPatch], Inside]


def nothing() -> list[str]:
    """Of faults that change nothing but the API server's objects."""
    return []


def _cut(api: FakeApi, patch: pytest.MonkeyPatch) -> Inside:
    target.fresh(api)
    Network(api, scene.whole(api))
    return nothing


def _squeezed(api: FakeApi, patch: pytest.MonkeyPatch) -> Inside:
    target.fresh_and_whole(api)
    test_memory.squeezing(api)
    return nothing


def _passwords(api: FakeApi, patch: pytest.MonkeyPatch) -> Inside:
    target.fresh(api)
    nodes = test_passwords.Nodes(api, scene.whole(api))
    return lambda: [f"pod {uid} has the run's password" for uid in sorted(nodes.other)]


def _disks(api: FakeApi, patch: pytest.MonkeyPatch) -> Inside:
    target.fresh(api)
    disks = disk.Disks(api, scene.whole(api))
    return lambda: [f"disk of {pod} is full" for pod in sorted(disks.full)]


def _connections(api: FakeApi, patch: pytest.MonkeyPatch) -> Inside:
    target.fresh(api)
    server = test_exhaustion.Server(api, scene.whole(api))
    before = server.used()
    return lambda: [] if server.used() == before else [f"{server.used()} connections are used"]


def _client_secret(api: FakeApi, patch: pytest.MonkeyPatch) -> Inside:
    target.fresh_and_whole(api)
    patch.setenv("SYSTEM_SECRET", test_client_secret.OLD)
    test_client_secret.Acp(api, patch)
    return nothing


def _observed(api: FakeApi, patch: pytest.MonkeyPatch) -> Inside:
    """As the fixture of tests/faults/test_observers.py."""
    target.fresh_and_whole(api)
    scene.service(api, test_observers.SPACE, "prometheus", 2)
    meta = {"name": "agent", "namespace": test_observers.SPACE, "generation": 1}
    spec = {"template": {"spec": {}}, "selector": {"matchLabels": {"app": "agent"}}}
    api.store.put("daemonsets", {"kind": "DaemonSet", "metadata": meta, "spec": spec})
    reconcile = api.store.reconcile

    def also() -> None:
        reconcile()
        test_observers.run_agents(api)

    api.store.reconcile = also  # type: ignore[method-assign]
    return nothing


def _gone(what: observers.What) -> Callable[[Session], Fault]:
    def make(session: Session) -> Fault:
        own = allowing_all(session)
        space = test_observers.SPACE
        services = own.profile.services.model_copy(update={
            "logs": ClusterService(kind="DaemonSet", namespace=space, name="agent"),
            "prometheus": ClusterService(namespace=space, name="prometheus", service="prometheus"),
        })  # fmt: skip
        may = own.profile.experiments.model_copy(update={"may_disrupt": test_observers.WHATS})
        profile = own.profile.model_copy(update={"services": services, "experiments": may})
        again = Session(profile, own.cluster, own.run_id, own.journal, own.clock, own.undo)
        return test_observers.build(again, what)

    return make


SCENES: dict[str, Scene] = {
    **{
        f"{what}_cut": Scene(
            lambda s, what=what: cuts.cut_off(allowing_all(s), what, 8.0, 8.0),  # type: ignore[misc]
            _cut,
        )
        for what in ("sql", "analytics", "redis")
    },
    "memory_oom": Scene(test_memory.build, _squeezed),
    "redis_password": Scene(test_passwords.build, _passwords),
    "redis_disk_full": Scene(disk.build, _disks),
    "sql_exhausted": Scene(test_exhaustion.build, _connections),
    "secret_rotated": Scene(test_client_secret.build, _client_secret),
    "logs_gone": Scene(_gone("logs"), _observed),
    "prometheus_gone": Scene(_gone("prometheus"), _observed),
}
