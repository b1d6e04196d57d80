"""Adding a container with everything wrong, or taking evidence away, never improves a verdict."""

import copy
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acpchaos.check.posture.judge import judge
from acpchaos.check.verdict import Outcome
from acpchaos.record.snapshot import Snapshot

from .building import ROGUE, attest, configure, container, installation, pod_spec, seal

ROWS = tuple(f"HARD-{n:02}" for n in (1, 2, 3, 11, 12, 14, 15, 16, 17, 18, 24, *range(30, 44), 45))
# from the worst to the best; what does not apply is not better than what passed
RANK = {
    Outcome.FAILED: 0, Outcome.INCONCLUSIVE: 1, Outcome.WAIVED: 2, Outcome.NOT_APPLICABLE: 3,
    Outcome.PASSED: 3,
}  # fmt: skip
WORKLOADS = [
    ("Deployment", "acp"), ("Deployment", "acp-primary"), ("Deployment", "acp-workers"),
    ("Job", "acp-migrate"), ("CronJob", "acp-export"), ("Deployment", "acp-faas-node-v5"),
    ("StatefulSet", "redis-cluster"),
]  # fmt: skip
KINDS = (
    "ConfigMap", "CronJob", "Deployment", "Ingress", "Job", "Namespace", "Pod", "Secret",
    "Service", "StatefulSet",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _attested(monkeypatch: pytest.MonkeyPatch) -> None:
    attest(monkeypatch)


def outcomes(snapshot: Snapshot) -> dict[str, Outcome]:
    return {each.row: each.verdict.outcome for each in judge(snapshot) if each.row in ROWS}


def broken(number: int) -> Snapshot:
    """The installation with one of several things wrong."""
    snapshot = installation()
    main = container(snapshot)
    changes = (
        lambda: None,
        lambda: main["args"].append("--dev"),
        lambda: seal(snapshot, system=None, secrets=None),
        lambda: main["securityContext"].clear(),
        lambda: configure(snapshot, {"server": {"disable_csrf": True}, "redis": {"password": "x"}}),
        lambda: main.update(image="registry.example.test/acp:latest"),
        lambda: main["args"].__setitem__(-1, "/gone.yaml"),
        lambda: pod_spec(snapshot).update(hostNetwork=True, securityContext={}),
        lambda: snapshot.objects["Secret"][0].update(type="odd"),
    )
    changes[number]()
    return snapshot


def worse_or_same(before: dict[str, Outcome], after: dict[str, Outcome]) -> Iterator[str]:
    for row, outcome in before.items():
        if RANK[after[row]] > RANK[outcome]:
            yield f"{row}: {outcome} became {after[row]}"


def test_the_installation_passes_all_of_these_rows() -> None:
    assert set(outcomes(installation()).values()) == {Outcome.PASSED}


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    number=st.integers(0, 8), workload=st.sampled_from(WORKLOADS), first=st.booleans(),
    init=st.booleans(), image=st.sampled_from(["registry.example.test/acp", "other:1"]),
)  # fmt: skip
def test_a_rogue_container_never_improves_a_verdict(
    number: int, workload: tuple[str, str], first: bool, init: bool, image: str
) -> None:
    snapshot = broken(number)
    before = outcomes(snapshot)
    kind, name = workload
    key = "initContainers" if init else "containers"
    found = pod_spec(snapshot, name, kind).setdefault(key, [])
    found.insert(0 if first else len(found), {**copy.deepcopy(ROGUE), "image": image})
    assert list(worse_or_same(before, outcomes(snapshot))) == []


@pytest.mark.parametrize(("kind", "name"), WORKLOADS)
def test_a_rogue_container_is_seen_in_every_workload(kind: str, name: str) -> None:
    snapshot = installation()
    pod_spec(snapshot, name, kind)["containers"].append(copy.deepcopy(ROGUE))
    after = outcomes(snapshot)
    if kind == "StatefulSet":
        seen: tuple[str, ...] = ("HARD-03", "HARD-17", "HARD-38")
    elif name.startswith("acp-faas"):
        seen = ("HARD-02", "HARD-03", "HARD-17", "HARD-32", "HARD-35", "HARD-36", "HARD-45")
    else:
        seen = ("HARD-02", "HARD-03", "HARD-12", "HARD-14", "HARD-16", "HARD-17", "HARD-31",
                "HARD-32", "HARD-33", "HARD-34", "HARD-35", "HARD-36", "HARD-37", "HARD-39",
                "HARD-40", "HARD-41", "HARD-42", "HARD-43", "HARD-45")  # fmt: skip
    assert [row for row in seen if after[row] is not Outcome.FAILED] == []


@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize("kind", KINDS)
def test_evidence_that_is_missing_never_lets_a_row_pass(kind: str, number: int) -> None:
    snapshot = broken(number)
    before = outcomes(snapshot)
    del snapshot.objects[kind]
    after = outcomes(snapshot)
    better = [
        row
        for row, outcome in before.items()
        if outcome is not Outcome.PASSED
        and after[row] in (Outcome.PASSED, Outcome.NOT_APPLICABLE, Outcome.WAIVED)
    ]
    assert better == []
