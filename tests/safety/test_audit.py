"""The audit log against journals and rights: what matches, and that every mismatch is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from acpchaos.faults.fault import Need
from acpchaos.record.mutations import FILE, Mutations
from safety import audit, lab

USER = "acpchaos:acpchaos"
NODE, MAP = "/api/v1/nodes/worker-a", "/api/v1/namespaces/acp-system/configmaps"


def event(verb: str, uri: str, number: int = 0, code: int = 200, **more: Any) -> audit.Event:
    found = {"resource": "nodes", "apiVersion": "v1", "name": "worker-a"} | more.pop("ref", {})
    return {
        "auditID": f"id-{number}", "verb": verb, "requestURI": uri, "objectRef": found,
        "user": {"username": f"system:serviceaccount:{USER}"},
        "requestReceivedTimestamp": f"2026-01-01T00:00:0{number}.000000Z",
        "responseStatus": {"code": code},
    } | more  # fmt: skip


def journal(folder: Path, *calls: tuple[str, str, int | None]) -> Path:
    """A journal of calls with their statuses; None where the process died before the outcome."""
    path = folder / FILE
    mutations = Mutations(path)
    for method, uri, status in calls:
        entry = mutations.before(method, uri, {})
        if status is not None:
            mutations.after(entry, status, "")
    mutations.leave()
    return path


LOG = [event("patch", f"{NODE}?fieldManager=x", 1), event("create", MAP, 2), event("get", NODE, 3)]
CALLS = (("PATCH", NODE, 200), ("POST", MAP, 409))


def test_what_was_journalled_and_logged_matches(tmp_path: Path) -> None:
    assert audit.unmatched([journal(tmp_path, *CALLS)], LOG) == []
    more = [*LOG, event("create", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 4,
                        ref={"resource": "selfsubjectaccessreviews"})]  # fmt: skip
    assert audit.unmatched([tmp_path / FILE], more) == []


@pytest.mark.parametrize(("status", "faults"), [(200, 1), (None, 0), (0, 0)])
def test_a_call_without_an_answer_may_be_missing(
    tmp_path: Path, status: int | None, faults: int
) -> None:
    path = journal(tmp_path, *CALLS, ("DELETE", NODE, status))
    seen = audit.unmatched([path], LOG)
    assert len(seen) == faults and all("not in the audit log: DELETE" in each for each in seen)
    assert audit.unmatched([path], [*LOG, event("delete", NODE, 4)]) == []


def test_a_change_that_nobody_journalled_is_told(tmp_path: Path) -> None:
    twice = [*LOG, event("patch", NODE, 5)]
    (fault,) = audit.unmatched([journal(tmp_path, *CALLS)], twice)
    assert fault == f"not in the journal: PATCH {NODE} (1 times)"


def test_lines_of_others_of_before_and_torn_ones_are_left_out() -> None:
    mine = event("patch", NODE, 2)
    other = mine | {"user": {"username": "system:admin"}, "auditID": "o"}
    stages = [mine | {"stage": "ResponseStarted"}, mine | {"stage": "ResponseComplete"}]
    early = event("patch", NODE, 1)
    lines = [json.dumps(each) for each in (*stages, other, early)]
    found = audit.events([*lines, lines[0][:40]], USER, "2026-01-01T00:00:02.000000Z")
    assert [each["auditID"] for each in found] == ["id-2"]


def test_calls_are_rights() -> None:
    lease = {"resource": "leases", "apiGroup": "coordination.k8s.io", "namespace": "a", "name": "l"}
    run = {"resource": "pods", "namespace": "a", "name": "p", "subresource": "exec"}
    space = {"resource": "namespaces", "namespace": "a", "name": "a"}
    log = [
        event("update", "/x", 1, ref=lease), event("get", "/y", 2, ref=run),
        event("get", "/z", 3, ref=space), event("get", "/readyz", 4) | {"objectRef": {}},
    ]  # fmt: skip
    assert audit.used(log) == {
        Need("update", "Lease", "a", "", "l"), Need("get", "Namespace", "", "", "a"),
        Need("get", "Pod", "a", "exec", "p"), Need("create", "Pod", "a", "exec", "p"),
    }  # fmt: skip


def test_refusals_are_told() -> None:
    assert audit.refused([*LOG, event("delete", NODE, 4, 403)]) == [f"delete {NODE}"]


def test_a_row_falls_short_on_too_much_too_little_and_a_refusal() -> None:
    node = Need("get", "Node", "", "", "worker-a")
    granted = {node, node._replace(verb="patch"), Need("create", "ConfigMap", "acp-system")}
    ref = {"resource": "configmaps", "namespace": "acp-system", "name": ""}
    log = [LOG[0], event("create", MAP, 2, ref=ref), LOG[2]]
    assert lab._rights("x", granted, log).short == []
    short = lab._rights("x", granted, [LOG[0], LOG[2], event("delete", NODE, 4, 403)]).short
    assert [each.partition(":")[0] for each in short] == [
        "used, not granted", "granted, not used", "refused",
    ]  # fmt: skip
