"""Machines switched by an extension of the Chaos Toolkit: only their nodes tell whether they are
off, and whoever has the extension can switch them on.

The extension is a module of the test's own, found by PYTHONPATH as an installed one would be; its
machines are files, and a thread plays their kubelets.
"""

import datetime as dt
import json
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api.server import FakeApi
from fake_api.stores import Stores
from safety import reaping, target

from acpchaos.errors import AcpchaosError, PreconditionUnmet, UsageError
from acpchaos.faults import (
    machines,
    node_fault,
    node_records,
    nodes,
    rehearsal,
    watchdog,
    witness_nodes,
)
from acpchaos.faults.fault import Act
from acpchaos.faults.session import Session
from acpchaos.faults.undo import undo_run
from acpchaos.target.profile import PROJECT, Extension, load_profile
from acpchaos.wait import eventually
from faults.spoiling import overdue, spoiled
from faults.told import undo_records, witnesses

ZONED = {"worker-a": "zone-a", "worker-b": "zone-b", "worker-c": "zone-c"}
EXTENSION = """
import os, pathlib
HOME = pathlib.Path(os.environ["FAKE_CLOUD"])

def stop_instances(instance_ids=None, az=None, filters=None, force=False, configuration=None,
                   secrets=None):
    if (HOME / "denied").exists():
        raise RuntimeError("AccessDenied: not you")
    assert force is True and configuration == {"aws_region": "eu-west-1"}
    for each in instance_ids:
        if not (HOME / "deaf").exists():
            (HOME / each).write_text("off")
    return [{"StoppingInstances": instance_ids}]

def start_instances(instance_ids=None, az=None, filters=None, configuration=None, secrets=None):
    if (HOME / "denied").exists():
        raise RuntimeError("AccessDenied: not you")
    for each in instance_ids:
        with (HOME / "started").open("a") as file:
            file.write(each + "\\n")
        if (HOME / "stopping").exists():
            (HOME / "stopping").unlink()  # it is off a moment later
            raise RuntimeError("IncorrectInstanceState")
        (HOME / each).unlink(missing_ok=True)
"""
SECTION = """
[nodes]
power = "extension"
[nodes.extension]
module = "cloudish.ec2.actions"
off = "stop_instances"
on = "start_instances"
provider_id = 'aws:///[a-z0-9-]+/(?P<instance>i-[a-z0-9-]+)'
arguments = { instance_ids = ["{instance}"], configuration = { aws_region = "eu-west-1" } }
off_arguments = { force = true }
"""
REST = ("worker-b", 1, 3.0, 8.0)


class Cloud:
    """Machines as files, `off` in those that are; and their kubelets on the fake API server."""

    def __init__(self, api: FakeApi, home: Path) -> None:
        self.api, self.home, self.over = api, home, threading.Event()
        self.replaced = False
        self.ready: dict[str, str] = {}
        home.mkdir()
        with api.store.lock:
            for name in ZONED:
                node = api.store.get(("nodes", "", name))
                node["spec"]["providerID"] = f"aws:///eu-west-1a/{self.machine(name)}"

    def off(self, node: str) -> bool:
        return (self.home / self.machine(node)).exists()

    def machine(self, node: str) -> str:
        return f"i-0{node}"

    def set(self, word: str, on: bool = True) -> None:
        (self.home / word).touch() if on else (self.home / word).unlink(missing_ok=True)

    def started(self) -> list[str]:
        path = self.home / "started"
        return path.read_text().split() if path.exists() else []

    def live(self) -> None:
        while not self.over.wait(0.05):
            for node in ZONED:
                self._tell(node)

    def _tell(self, node: str) -> None:
        status = "Unknown" if self.off(node) else "True"
        now = dt.datetime.now(dt.UTC).isoformat()
        if status == "True":
            meta = {"name": node, "namespace": "kube-node-lease"}
            self.api.store.put("leases", {"metadata": meta, "spec": {"renewTime": now}})
        if self.ready.get(node) == status:
            return
        self.ready[node] = status
        with self.api.store.lock:
            found = self.api.store.get(("nodes", "", node))
            if self.replaced and status == "Unknown":
                found["metadata"]["uid"] = "another"
            told = {"type": "Ready", "status": status, "lastTransitionTime": now}
            found["status"] = {"conditions": [told]}


@pytest.fixture
def profile_path(profile_path: Path) -> Path:
    profile_path.write_text(profile_path.read_text() + SECTION)
    return profile_path


@pytest.fixture
def cloud(
    api: FakeApi, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    module = tmp_path / "installed" / "cloudish" / "ec2" / "actions.py"
    module.parent.mkdir(parents=True)
    module.write_text(EXTENSION)
    for name, value in (
        ("PYTHONPATH", str(tmp_path / "installed")), ("FAKE_CLOUD", str(tmp_path / "cloud")),
        ("ACPCHAOS_STATE", str(tmp_path / "state")),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    for place, name, number in (
        (nodes, "NOTICE_S", 3.0), (node_fault, "STRIKE_S", 120.0), (witness_nodes, "STILL_S", 0.2),
        (machines, "AGAIN_S", 0.2), (machines, "BACK_S", 8.0), (machines, "OFF_S", 0.0),
    ):  # fmt: skip
        monkeypatch.setattr(place, name, number)
    monkeypatch.setattr("acpchaos.faults.undo.VERIFY_S", 10.0)
    monkeypatch.setattr(nodes.MachineOff, "takes_s", 0.0)
    monkeypatch.setattr(node_fault, "SPARE_S", 0.0)
    monkeypatch.setattr(node_fault, "PARTS", ("sql",))
    made = Cloud(api, tmp_path / "cloud")
    thread = threading.Thread(target=made.live, daemon=True)
    thread.start()
    eventually("kubelets to tell", lambda: len(made.ready) == 3, 5.0, 0.02)
    with target.impatient(0.05):
        yield made
    made.over.set()
    thread.join()


def off(session: Session, scope: Any = "node", name: str = "worker-b") -> nodes.MachineOff:
    return nodes.MachineOff(session, scope, name, *REST[1:])


def told(session: Session) -> list[str]:
    return [outcome for outcome, _ in witnesses(session)]


@pytest.mark.parametrize(("scope", "name"), [("node", "worker-b"), ("zone", "zone-b")])
def test_switched_off_seen_by_its_node_and_switched_on(
    api: FakeApi, session: Session, cloud: Cloud, scope: str, name: str
) -> None:
    act = Act(off(session, scope, name))
    seen = act.strike()
    assert seen["witness"] == "installed", seen["saw"]
    assert act.fault.name == f"{scope}_machine_off"
    assert cloud.off("worker-b") and not cloud.off("worker-a")
    [change] = session.undo.outstanding().values()
    assert change["provider_id"] == "aws:///eu-west-1a/i-0worker-b"
    assert "stop_instances" not in json.dumps(change)  # what is run stands in the profile
    act.heal()
    assert not cloud.off("worker-b") and set(cloud.started()) == {"i-0worker-b"}
    assert session.undo.outstanding() == {}
    assert node_records.of_run(session.cluster, "all") == []


def test_record_stands_before_the_machine_is_asked(
    session: Session, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the cluster, and on this machine with a watchdog that lives."""
    found: list[Any] = []

    def instead(*words: Any) -> None:
        found.append((session.undo.outstanding(), node_records.of_run(session.cluster, "run-1")))
        raise AcpchaosError("call", "died before it", "x")

    act = Act(off(session))
    act.fault.setup()
    monkeypatch.setattr(machines, "_run", instead)
    with pytest.raises(AcpchaosError, match="died before it"):
        act.fault.inject()
    [(recorded, kept)] = found
    assert list(recorded.values()) == kept and len(kept) == 1
    monkeypatch.undo()


def deaf(cloud: Cloud) -> None:
    """The extension says done, and nothing is."""
    cloud.set("deaf")


def denied(cloud: Cloud) -> None:
    cloud.set("denied")


def wrong_machine(cloud: Cloud) -> None:
    """Another machine than the node's goes off."""
    path = cloud.home.parent / "installed/cloudish/ec2/actions.py"
    before, _, after = path.read_text().partition("for each in instance_ids:")
    path.write_text(f"{before}for each in ['i-0worker-c']:{after}")


@pytest.mark.parametrize("sabotage", [deaf, denied, wrong_machine])
def test_sabotaged_is_never_installed(
    session: Session, cloud: Cloud, monkeypatch: pytest.MonkeyPatch,
    sabotage: Callable[[Cloud], None],
) -> None:  # fmt: skip
    monkeypatch.setattr(nodes, "NOTICE_S", 0.4)
    monkeypatch.setattr(node_fault, "STRIKE_S", 3.0)
    assert spoiled(off(session), lambda: sabotage(cloud)) == ["not installed"]
    cloud.set("denied", on=False)
    session.undo.revert_all()
    assert not cloud.off("worker-b")


def test_a_node_that_is_only_not_ready_is_partial(session: Session, cloud: Cloud) -> None:
    """Its kubelet still renews: that is no machine that is off."""
    cloud.set("i-0worker-b")
    eventually("not ready", lambda: cloud.ready["worker-b"] == "Unknown", 2.0, 0.02)
    renewing = threading.Event()

    def renew() -> None:
        while not renewing.wait(0.02):
            now = dt.datetime.now(dt.UTC).isoformat()
            meta = {"name": "worker-b", "namespace": "kube-node-lease"}
            cloud.api.store.put("leases", {"metadata": meta, "spec": {"renewTime": now}})

    thread = threading.Thread(target=renew)
    thread.start()
    seen = witness_nodes.silent_nodes(session.cluster, ["worker-b"])
    renewing.set()
    thread.join()
    assert seen.outcome == "partial", seen
    assert witness_nodes.silent_nodes(session.cluster, []).outcome == "not installed"


def test_one_still_going_off_is_asked_again_until_it_is_back(
    session: Session, cloud: Cloud
) -> None:
    Act(off(session)).strike()
    cloud.set("stopping")
    session.undo.revert_all()
    assert not cloud.off("worker-b") and len(cloud.started()) > 1


def test_one_not_yet_unready_does_not_count_as_back(session: Session, cloud: Cloud) -> None:
    """Undone at once: the node tells ready for a while, though its machine goes off."""
    node = session.cluster.get("Node", "worker-b")
    change = machines.switched_off(node, time.time() + 60)
    assert not machines.settled(session.cluster, "run-1", change)
    assert machines.settled(session.cluster, "run-1", change | {"due": time.time() - 1})
    assert machines.settled(session.cluster, "run-1", change | {"since": "before"})
    assert machines.settled(session.cluster, "run-1", change | {"uid": "of another"})


def test_a_node_that_a_group_replaced_is_not_waited_for(session: Session, cloud: Cloud) -> None:
    cloud.replaced = True
    Act(off(session)).strike()
    session.undo.revert_all()
    assert session.undo.outstanding() == {} and cloud.started() == []


def test_another_process_switches_on_what_a_dead_runner_left(
    api: FakeApi, session: Session, cloud: Cloud, profile_path: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """From another machine, without this one's record; but not without extension or credentials."""
    Act(off(session)).strike()
    monkeypatch.setenv("ACPCHAOS_STATE", str(tmp_path / "elsewhere"))
    cloud.set("denied")
    monkeypatch.setattr(machines, "BACK_S", 0.3)
    monkeypatch.setattr("acpchaos.faults.undo.VERIFY_S", 0.3)
    profile = load_profile(profile_path)
    [change] = session.undo.outstanding().values()
    with pytest.raises(AcpchaosError, match=r"no \[nodes.extension\]"):
        without = session.cluster.hooked(None)
        without.profile = profile.model_copy(update={"nodes": type(profile.nodes)()})
        machines.revert(without, "run-1", change)
    key = next(iter(session.undo.outstanding()))
    soon = {"data": {key: json.dumps(change | {"due": time.time() + 1})}}
    session.cluster.patch("ConfigMap", "acpchaos-undo-run-1", soon, session.namespace)
    with pytest.raises(AcpchaosError, match="node-machine worker-b"):
        undo_run(profile, "all")
    assert undo_records(api) != [] and cloud.off("worker-b")
    cloud.set("denied", on=False)
    monkeypatch.setattr(machines, "BACK_S", 8.0)
    assert undo_run(profile, "all") == ["node-machine worker-b"]
    assert not cloud.off("worker-b") and undo_records(api) == []


def test_watchdog_of_this_machine_switches_it_on_at_the_deadline(
    session: Session, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    Act(off(session)).strike()
    other = overdue(session, monkeypatch)
    cloud.set("denied")
    assert watchdog.main(str(other)) == 1 and cloud.off("worker-b")
    cloud.set("denied", on=False)
    assert watchdog.main(str(other)) == 0 and not cloud.off("worker-b")
    other.unlink()
    session.undo.revert_all()


def test_reaper_waits_since_it_cannot_switch(api: FakeApi, session: Session, cloud: Cloud) -> None:
    Act(off(session)).strike()
    [(key, change)] = session.undo.outstanding().items()
    body = {"data": {key: json.dumps(change | {"due": time.time() - 1})}}
    session.cluster.patch("ConfigMap", "acpchaos-undo-run-1", body, session.namespace)
    reaper = reaping.start(api, "run-1", once=True)
    time.sleep(0.8)  # noqa: TID251
    assert reaper.poll() is None and undo_records(api) != []
    (cloud.home / "i-0worker-b").unlink()
    assert reaper.wait(30) == 0
    reaper.communicate()
    assert undo_records(api) == []
    node_records.forget(session.cluster, "run-1", change)


def test_record_that_was_altered_switches_nothing(session: Session, cloud: Cloud) -> None:
    node = session.cluster.get("Node", "worker-b")
    change = machines.switched_off(node, time.time() + 60)
    for wrong in ("aws:///eu-west-1a/i-0x' or 1==1", "gce://p/z/i-0x", "i-0x", ""):
        with pytest.raises(PreconditionUnmet, match="not of the profile's pattern"):
            machines.revert(session.cluster, "run-1", change | {"provider_id": wrong})
    assert cloud.started() == []


def with_nodes(session: Session, **changes: Any) -> str:
    """What is said of a fault on a profile whose extension is another."""
    found = session.profile.nodes.extension
    assert found is not None
    other = session.profile.nodes.model_copy(update={"extension": found.model_copy(update=changes)})
    return machines.unsuited(session.profile.model_copy(update={"nodes": other}))


def test_what_is_missing_is_said(api: FakeApi, session: Session, cloud: Cloud) -> None:
    assert off(session).available() == ""
    assert "No module named 'chaosaws'" in with_nodes(session, module="chaosaws.ec2.actions")
    assert "has no attribute 'stop_machine'" in with_nodes(session, off="stop_machine")
    wrong = with_nodes(session, arguments={"ids": ["{instance}"]})
    assert wrong.startswith("not applicable: ") and "'ids'" in wrong
    with api.store.lock:
        for name in ZONED:
            api.store.get(("nodes", "", name))["spec"].pop("providerID")
    reason = off(session).available()
    assert reason.startswith("not applicable: ") and "node worker-a has no providerID" in reason
    plain = session.profile.model_copy(update={"nodes": type(session.profile.nodes)()})
    assert machines.unsuited(plain) == (
        "not applicable: [nodes] power of the profile names no extension"
    )
    assert cloud.started() == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"spec": {"providerID": None}}, "worker-b has no providerID"),
        ({"spec": {"providerID": "kind://podman/acpchaos/worker-b"}}, "does not match"),
        ({"metadata": {"labels": {"karpenter.sh/capacity-type": "spot"}}}, "not come back"),
    ],
)
def test_a_machine_that_could_not_be_switched_on_again_is_left_alone(
    session: Session, cloud: Cloud, change: dict[str, Any], why: str
) -> None:
    session.cluster.patch("Node", "worker-b", change)
    with pytest.raises(PreconditionUnmet, match=why):
        Act(off(session)).strike()
    assert not cloud.off("worker-b") and session.undo.outstanding() == {}


def test_what_goes_with_a_machine_is_reckoned_before(
    session: Session, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (0, 1):
        body = {"spec": {"nodeName": "worker-b"}}
        session.cluster.patch("Pod", f"postgresql-{number}", body, session.namespace)
    none = session.profile.experiments.model_copy(update={"may_lose": ()})
    session.profile.__dict__["experiments"] = none
    with pytest.raises(PreconditionUnmet, match=r"sql: 1 of 3 members left, 2 are a majority"):
        Act(off(session)).strike()
    assert not cloud.off("worker-b") and told(session) == []


def test_rehearsal_tells_and_switches_nothing(session: Session, cloud: Cloud) -> None:
    plan = rehearsal.rehearse(
        PROJECT / "experiments" / "node-power-off.yaml", session.profile, {"name": "worker-b"}
    )
    assert plan.refused == "" and plan.fault == "node_machine_off", plan
    assert plan.undo == ("node-machine worker-b",)
    assert "stop_instances" in plan.changes[0] and not cloud.off("worker-b")


@pytest.mark.parametrize(
    ("found", "instead", "why"),
    [
        ("{instance}", "all", "any machine is meant"),
        ("(?P<instance>", "(?P<instance>(", "no pattern"),
        ("off_arguments = {", "off_arguments = { secrets = { key = 'x' },", "holds no secrets"),
        ("cloudish.ec2.actions", "os; x", "module"),
        ("[nodes.extension]", "[nodes.other]", "nodes"),
    ],
)
def test_profile_is_refused_where_it_cannot_be_meant(
    profile_path: Path, found: str, instead: str, why: str
) -> None:
    profile_path.write_text(profile_path.read_text().replace(found, instead))
    with pytest.raises(UsageError, match=why):
        load_profile(profile_path)


def test_staging_example_names_an_extension_as_it_is_published() -> None:
    """chaosaws 0.35.1: stop_instances(instance_ids, az, filters, force, configuration, secrets)."""
    text = (PROJECT / "targets" / "staging.example.toml").read_text()
    lines = text.partition("# [nodes.extension]")[2].partition("\n\n")[0].splitlines()
    section = "\n".join(line.removeprefix("# ") for line in lines if "=" in line)
    wanted = Extension.model_validate(tomllib.loads(section))
    change = {"name": "n", "provider_id": "aws:///eu-west-1a/i-0123456789abcdef0"}
    filled = machines._filled(wanted, machines._off(wanted), change)
    assert filled["instance_ids"] == ["i-0123456789abcdef0"]
    assert set(filled) <= {"instance_ids", "force", "configuration"}
