"""Nodes switched off by an extension of the Chaos Toolkit, for R7: machines are files, a thread
plays kubelets, and each crash finds machines of its own."""

import itertools
import shutil
import threading
import tomllib
from typing import Any

from faults import test_machines
from faults.test_machines import EXTENSION, SECTION, ZONED, Cloud

from acpchaos.faults import machines, node_fault, nodes, undo, witness_nodes
from acpchaos.target.disruption import NodeAccess
from acpchaos.target.profile import Profile
from acpchaos.wait import eventually
from safety import target
from safety.place import Inside, Place, Scene

DUE_S = 30.0  # an undo of one that never was off waits for its deadline; a slow machine arms late
_serial = itertools.count()


def _begin(profile: Profile, place: Place) -> Profile:
    """The profile of a cloud whose extension is installed; waits for what nodes show are short."""
    module = place.folder / "installed" / "cloudish" / "ec2" / "actions.py"
    module.parent.mkdir(parents=True)
    module.write_text(EXTENSION)
    for name in ("state", "installed"):
        variable = {"state": "ACPCHAOS_STATE", "installed": "PYTHONPATH"}[name]
        place.patch.setenv(variable, str(place.folder / name))
    for where, name, value in (
        (nodes, "NOTICE_S", 1.5), (node_fault, "STRIKE_S", DUE_S), (node_fault, "SPARE_S", 0.0),
        (node_fault, "PARTS", ("sql",)), (witness_nodes, "STILL_S", 0.2), (undo, "VERIFY_S", 60.0),
        (machines, "AGAIN_S", 0.2), (machines, "BACK_S", 8.0), (nodes.MachineOff, "takes_s", 0.0),
    ):  # fmt: skip
        place.patch.setattr(where, name, value)
    access = NodeAccess.model_validate(tomllib.loads(SECTION)["nodes"])
    return profile.model_copy(update={"nodes": access})


def _prepare(place: Place) -> Inside:
    target.fresh_and_whole(place.api)
    home = place.folder / f"cloud-{next(_serial)}"
    place.patch.setenv("FAKE_CLOUD", str(home))
    cloud = Cloud(place.api, home)
    thread = threading.Thread(target=cloud.live, daemon=True)
    thread.start()

    def end() -> None:
        cloud.over.set()
        thread.join()
        shutil.rmtree(place.folder / "state", ignore_errors=True)

    place.ends.callback(end)
    eventually("kubelets to tell", lambda: len(cloud.ready) == len(ZONED), 20.0, 0.02)
    records = place.folder / "state"
    return lambda: (
        [f"the machine of {each} is off" for each in ZONED if cloud.off(each)]
        + [f"record {each.name}" for each in sorted(records.rglob("*.json"))]
    )


def _off(scope: Any, name: str) -> Scene:
    return Scene(lambda session: test_machines.off(session, scope, name), _prepare, _begin)


SCENES: dict[str, Scene] = {
    "node_machine_off": _off("node", "worker-b"),
    "zone_machine_off": _off("zone", "zone-b"),
}
