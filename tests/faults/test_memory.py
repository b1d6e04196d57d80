"""OOM kill: the kubelet's own word proves it, the squeezing pod may do nothing else, and the script
finds the right control group."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from fake_api import processes
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from safety.rbac import missing, unused, used

from acpchaos.errors import AcpchaosError
from acpchaos.faults import memory, process
from acpchaos.faults.fault import Act
from acpchaos.faults.memory import OutOfMemory
from acpchaos.faults.rights import of_fault, of_play, of_undo
from acpchaos.faults.session import Session
from acpchaos.target.cluster import Object
from faults.cases import allowing_all
from faults.spoiling import hasten, struck
from faults.told import witnesses

pytestmark = pytest.mark.usefixtures("stores")
CREATE = r"POST /api/v1/namespaces/kube-system/pods$"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    most_s = 8.0 if "unspoiled" in request.node.name else 0.4
    hasten(monkeypatch, process, most_s=most_s)


def squeezing(api: FakeApi, code: int = 137, reason: str = "OOMKilled") -> None:
    """Pods with the node's control groups do what the script does on a node."""
    reconcile = api.store.reconcile

    def also() -> None:
        reconcile()
        for pod in api.store.items("pods", "kube-system", "", ""):
            if pod["metadata"]["name"].startswith("acpchaos-squeeze") and "_done" not in pod:
                _squeeze(api, pod, code, reason)

    api.store.reconcile = also  # type: ignore[method-assign]


def _squeeze(api: FakeApi, pod: Object, code: int, reason: str) -> None:
    pod["_done"] = True
    wanted = pod["spec"]["containers"][0]["env"][0]["value"]
    found = processes._container(api.store, wanted, pod["spec"]["nodeName"])
    if found is None:
        processes._ended(pod, "Failed", "no control group of the container found", 3)
        return
    processes.kill(found[1], code, reason)
    processes._ended(pod, "Succeeded", "killed: 1 for want of memory", 0)


def build(session: Session) -> OutOfMemory:
    return OutOfMemory(allowing_all(session), "acp", 1, 1, 8.0)


def test_unspoiled_is_installed_and_healed_within_its_rights(
    api: FakeApi, session: Session
) -> None:
    squeezing(api)
    fault = build(session)
    api.store.asked.clear()
    act = Act(fault)
    assert act.strike()["witness"] == "installed", witnesses(session)
    act.heal()
    assert session.undo.outstanding() == {}
    called, granted = used(api), of_fault(fault)
    profile = fault.session.profile
    assert missing(granted | of_play(profile) | of_undo(profile), called) == []
    assert unused(granted, called) == []


@pytest.mark.parametrize("sabotage", ["swallowed", "forbidden", "plain", "other", "dead"])
def test_sabotaged_is_never_installed(api: FakeApi, session: Session, sabotage: str) -> None:
    squeezing(api, reason="Error" if sabotage == "plain" else "OOMKilled")
    fault = build(session)

    def spoil() -> None:
        if sabotage == "swallowed":
            api.store.swallowed = [CREATE]
        elif sabotage == "forbidden":
            api.store.forbidden = [CREATE]
        elif sabotage == "other":  # another container is squeezed
            other = api.store.get(("pods", NAMESPACE, "redis-cluster-0"))
            wrong = other["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
            fault._require_alive = lambda pod: None  # type: ignore[method-assign]
            fault._id = lambda pod: wrong  # type: ignore[method-assign]
        elif sabotage == "dead":  # it has run out of memory by itself since set-up
            with api.store.lock:
                name = fault.victims[0]["metadata"]["name"]
                found = api.store.get(("pods", NAMESPACE, name))
                processes.kill(found["status"]["containerStatuses"][0], 137, "OOMKilled")

    def heal() -> None:
        api.store.swallowed = api.store.forbidden = []

    outcomes = struck(fault, spoil, heal)
    wanted = {"plain": "partial", "dead": "partial"}.get(sabotage, "not installed")
    assert outcomes == [wanted], witnesses(session)
    assert session.undo.outstanding() == {}


def test_squeezing_pod_reaches_control_groups_and_nothing_else(session: Session) -> None:
    fault = build(session)
    fault.setup()
    body = fault.manifest(fault.victims[0])
    [container] = body["spec"]["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "hostPID" not in body["spec"] and "privileged" not in container["securityContext"]
    assert [each["hostPath"]["path"] for each in body["spec"]["volumes"]] == ["/sys/fs/cgroup"]
    # guaranteed, so that the kernel spares its process
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert body["spec"]["nodeName"] == fault.victims[0]["spec"]["nodeName"]


def test_the_script_runs_as_it_is_written(session: Session) -> None:
    """Of a command Kubernetes makes $ from $$, and what it knows from $(NAME): seen live, where the
    script's own process id was lost and nobody ran out of memory."""
    fault = build(session)
    fault.setup()
    [container] = fault.manifest(fault.victims[0])["spec"]["containers"]
    known = {each["name"]: each["value"] for each in container["env"]}

    def expanded(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else known.get(found[1], found[0])

    run = re.sub(r"\$\$|\$\(([^)]*)\)", expanded, container["command"][-1])
    assert run == memory.SCRIPT.read_text(encoding="utf-8") and "echo $$" in run


def test_missing_capability_is_named(session: Session) -> None:
    assert "[signals] node_pods = true" in OutOfMemory(session, "acp", 1, 1, 8.0).available()
    fault = build(session)
    assert fault.available() == ""


def run(folder: Path, container: str = "deadbeef") -> tuple[int, str]:
    words = {"CGROUPS": str(folder), "CONTAINER": container, "SAID": str(folder / "said")}
    words |= {"PATH": os.environ["PATH"], "TRIES": "2"}
    done = subprocess.run(["sh", str(memory.SCRIPT)], env=words, timeout=20, check=False)
    return done.returncode, (folder / "said").read_text().strip()


def group(folder: Path, name: str, **files: str) -> Path:
    made = folder / "kubepods" / name
    made.mkdir(parents=True)
    for file, text in files.items():
        (made / file.replace("__", ".", 1)).write_text(text + "\n")
    return made


def test_script_without_such_a_group_touches_nothing(tmp_path: Path) -> None:
    other = group(tmp_path, "cri-containerd-other.scope", memory__max="max", memory__current="1")
    assert run(tmp_path) == (3, "no control group of the container found")
    assert (other / "memory.max").read_text() == "max\n"


def test_script_gives_the_limit_back_where_nobody_was_killed(tmp_path: Path) -> None:
    made = group(
        tmp_path, "cri-containerd-deadbeef.scope", memory__max="536870912",
        memory__current="104857600", memory__events="low 0\noom 0\noom_kill 0",
    )  # fmt: skip
    code, said = run(tmp_path)
    assert code == 5 and "nobody was killed" in said
    assert (made / "memory.max").read_text() == "536870912\n"


def test_script_in_version_1_joins_the_group_and_says_what_it_counts(tmp_path: Path) -> None:
    made = group(
        tmp_path, "deadbeef", memory__limit_in_bytes="536870912",
        memory__usage_in_bytes="1048576", memory__oom_control="under_oom 0\noom_kill 0",
        cgroup__procs="",
    )  # fmt: skip
    code, _ = run(tmp_path)
    assert code == 5 and (made / "cgroup.procs").read_text().strip().isdigit()
    assert (made / "memory.limit_in_bytes").read_text() == "536870912\n"


def test_helper_that_fails_says_why(api: FakeApi, session: Session) -> None:
    squeezing(api)
    fault = build(session)
    real = fault.manifest
    fault.manifest = lambda pod: _unknown(real(pod))  # type: ignore[method-assign]
    with pytest.raises(AcpchaosError, match="no control group of the container found"):
        Act(fault).strike()
    assert [outcome for outcome, _ in witnesses(session)] == ["not installed"]


def _unknown(body: Object) -> Object:
    body["spec"]["containers"][0]["env"][0]["value"] = "0" * 64
    return body
