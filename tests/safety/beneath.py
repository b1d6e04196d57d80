"""Faults of nodes and of the control plane, for R7: on the fake engine, whose nodes run the real
scripts; what lies on the engine's machine and in the nodes must come back, too."""

import itertools
import shutil

from fake_engine.nodes import LAB, Nodes
from faults.node_cases import FAULTS

from acpchaos.faults import (
    control_plane,
    node_fault,
    nodes,
    undo,
    witness_control_plane,
    witness_nodes,
)
from acpchaos.faults.control_plane import ControlPlaneNodeOff
from acpchaos.target.disruption import NodeAccess
from acpchaos.target.profile import Profile
from safety import target
from safety.place import Inside, Place, Scene

_serial = itertools.count()


def begin(profile: Profile, place: Place) -> Profile:
    """The profile of a lab on the fake engine; waits for what nodes show are short."""
    for module, name, value in (
        (nodes, "EFFECT_S", 0.5), (node_fault, "NOTICE_S", 1.5), (node_fault, "STRIKE_S", 20.0),
        (control_plane, "EFFECT_S", 0.5), (witness_nodes, "STILL_S", 0.2),
        (witness_control_plane, "STILL_S", 0.2), (witness_control_plane, "LOOKS", 2),
        (undo, "VERIFY_S", 30.0), (node_fault, "PARTS", ("sql",)),
    ):  # fmt: skip
        place.patch.setattr(module, name, value)
    place.patch.setenv("ACPCHAOS_STATE", str(place.folder / "state"))
    engine = str(place.folder / "engine")
    access = NodeAccess(
        mechanism="engine", engine=f"{engine}/podman", environment={"FAKE_ENGINE": engine}
    )
    may = (*profile.experiments.may_disrupt, "control-plane")
    return profile.model_copy(update={
        "nodes": access, "cluster": profile.cluster.model_copy(update={"lab": LAB}),
        "experiments": profile.experiments.model_copy(update={"may_disrupt": may}),
    })  # fmt: skip


def _with(controllers: tuple[str, ...]) -> Scene:
    """The larger scene on an engine of its own, with these nodes of the control plane."""

    def prepare(place: Place) -> Inside:
        target.fresh_and_whole(place.api)
        words = {
            "node-role.kubernetes.io/control-plane": "", "acpchaos.io/allowed": "control-plane",
        }  # fmt: skip
        with place.api.store.lock:
            for name in controllers:
                meta = {"name": name, "labels": dict(words)}
                place.api.store.put("nodes", {"metadata": meta, "spec": {}, "status": {}})
        home, engine = place.folder / f"engine-{next(_serial)}", place.folder / "engine"
        made = place.ends.enter_context(Nodes(place.api, home).living())
        engine.unlink(missing_ok=True)
        engine.symlink_to(home)
        place.ends.callback(shutil.rmtree, place.folder / "state", ignore_errors=True)
        before = {name: _told(made, name) for name in _names(made)}
        return lambda: (
            [
                f"{name}: {word} instead of {before[name][at]}"
                for name in before
                for at, word in enumerate(_told(made, name))
                if word != before[name][at]
            ]
            + sorted(f"record {each.name}" for each in (place.folder / "state").rglob("*.json"))
        )

    return Scene(lambda session: FAULTS["node_freeze"](session), prepare, begin)


def _names(made: Nodes) -> list[str]:
    return sorted(path.parent.name for path in made.home.glob("*/status"))


def _told(made: Nodes, name: str) -> list[str]:
    """What of a node must come back."""
    home = made.home / name
    return [
        made.status(name), made.word(name, "address"), f"manifests {made.manifests(name)}",
        f"kubelet {(home / 'kubelet').exists()}", f"rules {(home / 'nft-ip').exists()}",
        f"timers {[each.name for each in made.timers(name)]}",
    ]  # fmt: skip


_ONE = _with(("control-plane",))
_THREE = _with(("control-plane", "control-plane2", "control-plane3"))
SCENES: dict[str, Scene] = {name: _ONE._replace(make=make) for name, make in FAULTS.items()}
SCENES["control_plane_node_power_off"] = _THREE._replace(
    make=lambda session: ControlPlaneNodeOff(session, 1, 30.0, 8.0)
)
