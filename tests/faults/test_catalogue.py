"""The catalogue is whole: every fault, every experiment and every test belongs to an entry."""

import inspect
import re
from dataclasses import replace
from pathlib import Path

import yaml

from acpchaos.faults import catalogue_docs
from acpchaos.faults.catalogue import ENTRIES
from acpchaos.faults.fault import Fault
from acpchaos.faults.killing import PodKill
from acpchaos.faults.node_fault import NodeFault
from acpchaos.faults.nodes import Beneath
from acpchaos.faults.process import ProcessSignal
from acpchaos.faults.scaling import FieldFault
from acpchaos.faults.session import Session
from acpchaos.target.disruption import Experiments
from acpchaos.target.kinds import find_kind
from acpchaos.target.profile import PROJECT
from faults import node_cases
from faults.cases import CASES

BASES = {Fault, PodKill, FieldFault, ProcessSignal, NodeFault, Beneath}
OWN_TESTS = {"load_surge", "zone_drain", "redis_wipe", "restore"}  # in files of those names
ELSEWHERE = {  # sabotaged injectors of these are in files of other names
    "sql_cut": "cuts", "analytics_cut": "cuts", "redis_cut": "cuts", "memory_oom": "memory",
    "sql_exhausted": "exhaustion", "analytics_exhausted": "exhaustion",
    "redis_password": "passwords", "certificate_expired": "certificates",
    "secret_rotated": "client_secret", "logs_gone": "observers", "prometheus_gone": "observers",
    "redis_disk_full": "disk", "node_machine_off": "machines", "zone_machine_off": "machines",
    "node_policy_cut": "policy_cut", "zone_policy_cut": "policy_cut",
}  # fmt: skip
# in test_node_faults.py
BENEATH = {*node_cases.FAULTS, "node_drain", "control_plane_node_power_off"}


def test_page_is_current() -> None:
    assert catalogue_docs.PAGE.read_text(encoding="utf-8") == catalogue_docs.page(), "make docs"


def built(tmp_path: Path) -> list[Fault]:
    session = catalogue_docs.nowhere(tmp_path)
    return [entry.build(session) for entry in ENTRIES]


def test_every_fault_has_an_entry_and_every_entry_a_fault(tmp_path: Path) -> None:
    def below(cls: type[Fault]) -> set[type[Fault]]:
        return {cls}.union(*(below(each) for each in cls.__subclasses__()))

    every = {cls for cls in below(Fault) if cls.__module__.startswith("acpchaos.")}
    known = {cls for cls in every if not inspect.isabstract(cls)}
    assert {type(fault) for fault in built(tmp_path)} == known - BASES


def test_every_entry_is_tested_with_sabotaged_injectors_or_by_its_own_file(tmp_path: Path) -> None:
    assert {fault.name for fault in built(tmp_path)} <= {*CASES, *ELSEWHERE} | OWN_TESTS | BENEATH
    for name in (*OWN_TESTS, *ELSEWHERE.values()):
        assert (PROJECT / "tests" / "faults" / f"test_{name}.py").is_file()


def test_every_experiment_has_an_entry_and_calls_its_module(tmp_path: Path) -> None:
    files = {path.name for path in (PROJECT / "experiments").glob("*.yaml")}
    assert {entry.experiment for entry in ENTRIES} == files
    for entry, fault in zip(ENTRIES, built(tmp_path), strict=True):
        text = (PROJECT / "experiments" / entry.experiment).read_text(encoding="utf-8")
        first = yaml.safe_load(text)["method"][0]["provider"]
        assert first["module"] == type(fault).__module__, entry.experiment


def test_consents_are_words_of_the_profile(tmp_path: Path) -> None:
    session = catalogue_docs.nowhere(tmp_path)
    fields = type(session.profile.experiments).model_fields
    words = str(fields["may_disrupt"].annotation)
    assert all(f"'{fault.disrupts}'" in words for fault in built(tmp_path))
    losses = str(fields["may_lose"].annotation)
    assert all(f"'{e.loses.split()[0]}'" in losses for e in ENTRIES if e.loses)


def test_needs_name_kinds_that_are_known(tmp_path: Path) -> None:
    for fault in built(tmp_path):
        for need in fault.needs():
            assert find_kind(need.kind)


def test_what_does_not_suit_a_target_is_not_applicable_with_its_reason(session: Session) -> None:
    """On a target of which the profile says nothing but that all may be disrupted; and one of which
    it does not even say that."""
    words = re.findall(r"'([a-z-]+)'", str(Experiments.model_fields["may_disrupt"].annotation))
    for allowed in (tuple(words), ()):
        bare = session.profile.model_copy(update={"experiments": Experiments(may_disrupt=allowed)})
        faults = [entry.build(replace(session, profile=bare)) for entry in ENTRIES]
        told = [(fault, fault.available()) for fault in faults]
        unsuited = {fault.name for fault, why in told if why.startswith("not applicable: ")}
        others = {why for fault, why in told if fault.name not in unsuited and why}
        assert {"node_power_off", "node_machine_off", "zone_policy_cut", "redis_cut", "sql_cut",
                "analytics_exhausted", "process_freeze", "restore", "zone_drain", "memory_oom",
                "load_surge", "logs_gone", "api_server_stop"} - unsuited <= (
            set() if allowed else {"process_freeze", "memory_oom"}
        )  # fmt: skip
        assert all("experiments.may_disrupt has no" in why for why in others), others
        assert bool(others) == (not allowed)
