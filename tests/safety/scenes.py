"""Faults whose scene is more than the larger one, for R7: what their tests put beside it, and what
of the stores' inside must come back, too."""

from collections.abc import Callable

from fake_api import scene
from fake_api.network import Network
from faults import (
    test_certificates,
    test_client_secret,
    test_exhaustion,
    test_load_surge,
    test_memory,
    test_observers,
    test_passwords,
    test_policy_cut,
    test_restore,
)
from faults import test_disk as disk
from faults.cases import allowing_all

from acpchaos.faults import (
    cuts,
    exhaustion,
    load_surge,
    node_drain,
    observers,
    restore,
    sql_faults,
)
from acpchaos.faults.fault import Fault
from acpchaos.faults.session import Session
from acpchaos.target.profile import ClusterService, Profile
from safety import beneath, machines, target
from safety.place import Inside, Place, Scene, nothing, plain


def _cut(place: Place) -> Inside:
    api = place.api
    target.fresh(api)
    Network(api, scene.whole(api))
    return nothing


def _cut_nodes(place: Place) -> Inside:
    target.fresh(place.api)
    test_policy_cut.spread(place.api, scene.whole(place.api))
    return nothing


def _by_policy(profile: Profile, place: Place) -> Profile:
    nodes = profile.nodes.model_copy(update={"cut": "network-policy"})
    return profile.model_copy(update={"nodes": nodes})


def _squeezed(place: Place) -> Inside:
    api = place.api
    target.fresh_and_whole(api)
    test_memory.squeezing(api)
    return nothing


def _passwords(place: Place) -> Inside:
    api = place.api
    target.fresh(api)
    nodes = test_passwords.Nodes(api, scene.whole(api))
    return lambda: [f"pod {uid} has the run's password" for uid in sorted(nodes.other)]


def _disks(place: Place) -> Inside:
    api = place.api
    target.fresh(api)
    disks = disk.Disks(api, scene.whole(api))
    return lambda: [f"disk of {pod} is full" for pod in sorted(disks.full)]


def _connections(store: sql_faults.Store) -> Scene:
    def prepare(place: Place) -> Inside:
        target.fresh(place.api)
        server = test_exhaustion.Server(place.api, scene.whole(place.api), store)
        before = server.used()
        return lambda: [] if server.used() == before else [f"{server.used()} connections are used"]

    return Scene(lambda s: exhaustion.Exhausted(allowing_all(s), store, 120, 8.0, 8.0), prepare)


def _client_secret(place: Place) -> Inside:
    api = place.api
    target.fresh_and_whole(api)
    place.patch.setenv("SYSTEM_SECRET", test_client_secret.OLD)
    test_client_secret.Acp(api, place.patch)
    return nothing


def _observed(place: Place) -> Inside:
    api = place.api
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


class _Certificate:
    """What serves the certificate is made anew with each scene, and the fault is told of it."""

    def prepare(self, place: Place) -> Inside:
        target.fresh_and_whole(place.api)
        self.ingress = test_certificates.Ingress(place.api, place.folder)
        place.ends.callback(self.ingress.listener.close)
        return nothing

    def make(self, session: Session) -> Fault:
        return test_certificates.build(session, self.ingress)


def _restored(place: Place) -> Inside:
    target.fresh(place.api)
    stores = test_restore.faked(place.patch)
    place.patch.setenv("M2M", "s3cret")
    return lambda: [f"row {mark} of ours is left" for mark in sorted(stores.marks)]


def _autoscaled(place: Place) -> Inside:
    target.fresh(place.api)
    place.api.store.put("horizontalpodautoscalers", test_load_surge.hpa(100))
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


CERTIFICATE = _Certificate()
SCENES: dict[str, Scene] = {
    **beneath.SCENES,
    **machines.SCENES,
    **{
        f"{scope}_policy_cut": Scene(
            lambda s, scope=scope: test_policy_cut.build(allowing_all(s), scope),  # type: ignore[misc]
            _cut_nodes,
            _by_policy,
        )
        for scope in ("node", "zone")
    },
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
    "sql_exhausted": _connections("sql"),
    "analytics_exhausted": _connections("analytics"),
    "secret_rotated": Scene(test_client_secret.build, _client_secret),
    "certificate_expired": Scene(CERTIFICATE.make, CERTIFICATE.prepare),
    "restore": Scene(lambda s: restore.Restore(test_restore.able_to(s), 1, 60.0), _restored),
    "load_surge": Scene(lambda s: load_surge.LoadSurge(s, 0.1), _autoscaled),
    "node_drain": Scene(lambda s: node_drain.NodeDrain(s, "worker-a", 0, 20.0, 0.2, 20.0), plain),
    "logs_gone": Scene(_gone("logs"), _observed),
    "prometheus_gone": Scene(_gone("prometheus"), _observed),
}
