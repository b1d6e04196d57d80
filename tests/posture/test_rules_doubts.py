"""Places where a row once looked away: each test is a hole that let a bad installation pass."""

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from acpchaos.posture.manifests import from_manifests
from acpchaos.record.snapshot import Object, Snapshot
from acpchaos.target.profile import load_profile
from posture import building
from posture.asking import fails, fails_among, named, passes, probed, undecided
from posture.building import ACP, CONFINED, FAAS, IMAGE, installation, pod_spec
from posture.building_lab import MANIFESTS, PROJECT, acp_chain, hardened
from posture.sabotage import MOCK

POD, CONTAINER = building.POD, building.CONTAINER
BARE: Object = {"name": "proxy", "image": "registry.example.test/mesh:1.0"}


def manifests(folder: Path, *more: Object) -> Snapshot:
    """The lab's own Deployment rendered, and objects beside it."""
    text = (MANIFESTS / "acp" / "acp.yaml").read_text()
    (folder / "all.yaml").write_text("\n---\n".join([text, *map(yaml.safe_dump, more)]))
    profile = load_profile(PROJECT / "targets" / "kind.toml")
    return from_manifests(folder, profile, "2026-11-24T12:00:00+00:00")


def rbac(kind: str, name: str, **content: Any) -> Object:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": ACP}, **content}  # fmt: skip


def binding(role: str, kind: str = "RoleBinding", role_kind: str = "ClusterRole") -> Object:
    return rbac(
        kind, "open", roleRef={"kind": role_kind, "name": role},
        subjects=[{"kind": "Group", "name": "system:authenticated"}],
    )  # fmt: skip


# who may read: manifests, kinds that are denied, groups that everybody is in


@pytest.mark.parametrize("row", ["HARD-20", "HARD-21", "HARD-22"])
@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
def test_a_bad_binding_among_manifests_is_found(row: str, kind: str, tmp_path: Path) -> None:
    found = manifests(tmp_path, binding("edit", kind))
    where = f"{kind} {ACP}/open" if kind == "RoleBinding" else f"{kind} open"
    fails(found, row, where, "subjects[0]", "Group:system:authenticated, who may")


def test_a_role_of_the_manifests_themselves_counts_and_names_what_they_need_not_hold(
    tmp_path: Path,
) -> None:
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"],
              "resourceNames": ["made-elsewhere"]}]  # fmt: skip
    role = rbac("Role", "reader", rules=rules)
    found = manifests(tmp_path, role, binding("reader", role_kind="Role"))
    fails(found, "HARD-20", f"RoleBinding {ACP}/open", "subjects[0]", "get secrets")
    undecided(found, "HARD-21", "do not tell")


def test_manifests_without_a_bad_binding_leave_these_rows_undecided(tmp_path: Path) -> None:
    undecided(manifests(tmp_path, binding("view")), "HARD-20", "do not tell")


def test_a_denied_kind_of_rbac_hides_no_bad_binding() -> None:
    snapshot = hardened()
    snapshot.objects["RoleBinding"].append(binding("cluster-admin"))
    snapshot.objects["ClusterRole"].append(
        {"metadata": {"name": "cluster-admin"},
         "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
    )  # fmt: skip
    del snapshot.objects["ClusterRoleBinding"]
    snapshot.unread["ClusterRoleBinding"] = "HTTP 403: forbidden"
    fails_among(snapshot, "HARD-22", f"RoleBinding {ACP}/open", "subjects[0]")
    snapshot.objects["RoleBinding"].pop()
    undecided(snapshot, "HARD-22", "ClusterRoleBinding objects could not be read")


def test_what_every_account_may_do_acps_account_may_do() -> None:
    snapshot = hardened()
    snapshot.objects["ClusterRole"].append(
        {"metadata": {"name": "nodes"},
         "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["delete"]}]}
    )  # fmt: skip
    bad = {"metadata": {"name": "all"}, "roleRef": {"kind": "ClusterRole", "name": "nodes"}}
    group = {"kind": "Group", "name": "system:serviceaccounts"}
    snapshot.objects["ClusterRoleBinding"].append({**bad, "subjects": [group]})
    fails_among(snapshot, "HARD-23", "ClusterRoleBinding all", "subjects[0]", "ClusterRole nodes")
    bad["roleRef"] = {"kind": "ClusterRole", "name": "system:discovery"}
    snapshot.objects["ClusterRoleBinding"][-1] = {**bad, "subjects": [group]}
    passes(snapshot, "HARD-23")


@pytest.mark.parametrize(("audience", "bad"), [("", True), ("vault", False)])
def test_a_token_that_a_volume_mounts_counts(audience: str, bad: bool) -> None:
    snapshot = hardened()
    spec = named(snapshot, "Deployment", "acp")["spec"]["template"]["spec"]
    token = {"path": "token", **({"audience": audience} if audience else {})}
    spec["volumes"].append(
        {"name": "own", "projected": {"sources": [{"serviceAccountToken": token}]}}
    )
    spec["containers"][0]["volumeMounts"].append({"name": "own", "mountPath": "/token"})
    if bad:
        field = f"{POD}.volumes[{len(spec['volumes']) - 1}]"
        fails(snapshot, "HARD-23", f"Deployment {ACP}/acp", field, "token for the API server")
    else:
        passes(snapshot, "HARD-23")


# what runs: copies under other names, what a mesh injects, functions of every kind


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet"])
def test_acps_image_under_a_name_that_nobody_named_counts(kind: str) -> None:
    snapshot = installation()
    other = copy.deepcopy(named(snapshot, "Deployment", "acp"))
    other["metadata"]["name"] = "acp-try"
    other["spec"]["template"]["spec"]["containers"][0]["args"].append("--dev")
    snapshot.objects[kind].append(other)
    fails_among(snapshot, "HARD-39", f"{kind} {ACP}/acp-try", f"{CONTAINER}.args[5]")


def test_a_single_pod_with_acps_image_counts_and_one_that_is_over_does_not() -> None:
    snapshot = installation()
    pod = {"metadata": {"name": "try", "namespace": ACP},
           "spec": {"containers": [{"name": "acp", "image": IMAGE, "args": ["--demo"]}]},
           "status": {"phase": "Running"}}  # fmt: skip
    snapshot.objects["Pod"].append(pod)
    fails_among(snapshot, "HARD-41", f"Pod {ACP}/try", "spec.containers[0].args[0]")
    fails_among(snapshot, "HARD-32", f"Pod {ACP}/try container acp",
                "spec.containers[0].securityContext.runAsNonRoot")  # fmt: skip
    pod["status"] = {"phase": "Succeeded"}
    passes(snapshot, "HARD-41")


@pytest.mark.parametrize("row", ["HARD-31", "HARD-32", "HARD-33", "HARD-34", "HARD-35", "HARD-36"])
def test_a_container_that_was_put_into_a_running_pod_counts(row: str) -> None:
    snapshot = installation()
    own = named(snapshot, "Pod", "acp-primary-x")["spec"]["initContainers"]
    own.append(copy.deepcopy(BARE))
    place = f"spec.initContainers[0].securityContext.{FIELD[row]}"
    fails_among(snapshot, row, f"Pod {ACP}/acp-primary-x container proxy", place)
    own[-1]["securityContext"] = copy.deepcopy(CONFINED)
    passes(snapshot, row)


FIELD = {
    "HARD-31": "runAsGroup", "HARD-32": "runAsNonRoot", "HARD-33": "runAsUser",
    "HARD-34": "readOnlyRootFilesystem", "HARD-35": "allowPrivilegeEscalation",
    "HARD-36": "capabilities",
}  # fmt: skip


def test_functions_count_whatever_kind_runs_them() -> None:
    snapshot = installation()
    spec = {"template": {"metadata": {"labels": {}}, "spec": {"containers": [BARE]}}}
    agent = {"metadata": {"name": "agent", "namespace": FAAS}, "spec": spec}
    snapshot.objects["DaemonSet"].append(agent)
    fails_among(snapshot, "HARD-30", f"DaemonSet {FAAS}/agent", f"{POD}.securityContext.fsGroup")


@pytest.mark.parametrize("tag", ["dist", "release", "alpine"])
def test_a_tag_without_a_number_is_no_version(tag: str) -> None:
    snapshot = installation()
    building.container(snapshot, "acp-faas-node-v5")["image"] = f"registry.example.test/faas:{tag}"
    fails_among(snapshot, "HARD-02", f"Deployment {FAAS}/acp-faas-node-v5", f"{CONTAINER}.image")


# flags behind a shell, a script, or the image itself


@pytest.mark.parametrize(
    "command",
    [
        ["/bin/sh", "-ec", "exec acp server start --create-default-tenant"],
        ["sh", "-c", "acp server start --create-default-tenant; sleep 1"],
        ["sh", "-c", "(acp server start --create-default-tenant)"],
        ["bash", "-c", "acp server start ${MORE}"],
        ["bash", "-c", "acp server start $MORE"],
        ["/data/run.sh"],
        ["sh", "/data/run.sh"],
    ],
)
def test_a_flag_in_a_shells_script_counts(command: list[str]) -> None:
    snapshot = installation()
    script = "#!/bin/sh\n# --dev\nexec acp server start \\\n  --create-default-tenant\n"
    snapshot.objects["ConfigMap"][0]["data"]["run.sh"] = script
    own = building.container(snapshot)
    own["env"].append({"name": "MORE", "value": "--create-default-tenant"})
    own["command"] = command
    place = f"{CONTAINER}.command[{len(command) - 1}]"
    fails(snapshot, "HARD-42", f"Deployment {ACP}/acp", place, "True")
    passes(snapshot, "HARD-43")


@pytest.mark.parametrize(
    "words",
    [
        {"command": ["sh", "-c", "acp server start $MORE"]},
        {"command": ["sh", "-c", "acp server start $(cat /run/flags)"]},
        {"command": ["sh", "-c", 'exec acp "$@"']},
        {"command": ["/secret/run.sh"]},
        {"command": [], "args": []},
    ],
)
def test_words_that_are_not_seen_leave_doubt(words: Object) -> None:
    snapshot = installation()
    snapshot.objects["Secret"][0]["data"]["run.sh"] = "sealed:0123456789ab:40:-"
    building.container(snapshot).update(words)
    undecided(snapshot, "HARD-42", f"Deployment {ACP}/acp")


@pytest.mark.parametrize(
    "text",
    ["Features: {Dev_Mode: true}", "features.dev_mode: true", "FEATURES: {dev_mode: 'yes'}"],
)
def test_a_switch_in_another_spelling_counts(text: str) -> None:
    snapshot = installation()
    building.configure(snapshot, text)
    place = "data[extraconfig.yaml].features.dev_mode"
    fails_among(snapshot, "HARD-39", building.CONFIG, place)


@pytest.mark.parametrize("door", ["word", "variable"])
def test_a_file_that_another_word_or_variable_names_counts(door: str) -> None:
    snapshot = installation()
    building.configure(snapshot, "features: {swagger_ui: true}", "more.yaml")
    own = building.container(snapshot)
    if door == "word":
        own["args"] = ["server", "start", "/data/more.yaml"]
    else:
        own["env"].append({"name": "SETTINGS_FILE", "value": "/data/more.yaml"})
    place = "data[more.yaml].features.swagger_ui"
    fails_among(snapshot, "HARD-40", building.CONFIG, place)


# secrets in other places


def test_a_secret_in_a_probe_or_hook_counts() -> None:
    snapshot = installation()
    word = "sealed:0123456789ab:14:-"
    own = building.container(snapshot, "redis-cluster", "StatefulSet")
    own["livenessProbe"] = {"exec": {"command": ["redis-cli", "-a", word]}}
    place = f"{CONTAINER}.livenessProbe.exec.command[2]"
    fails(snapshot, "HARD-17", f"StatefulSet {ACP}/redis-cluster", place, "14 characters")


# certificates


def test_each_workload_is_judged_by_its_own_certificate() -> None:
    """Flagger's copy mounts copies of Secrets: what it serves stands there."""
    snapshot = installation()
    for name in ("acp-primary", "acp-workers-primary"):
        spec = pod_spec(snapshot, name)
        spec["volumes"][2]["projected"]["sources"][0]["secret"]["name"] = "acp-tls-primary"
    copied = copy.deepcopy(named(snapshot, "Secret", "acp-tls"))
    copied["metadata"]["name"] = "acp-tls-primary"
    copied["data"]["tls.crt"] = "".join(acp_chain())
    snapshot.objects["Secret"].append(copied)
    undecided(snapshot, "HARD-26", f"Secret {ACP}/acp-tls[tls.crt] holds no readable certificate")
    mock = MOCK.read_text()
    copied["data"]["tls.crt"] = mock
    fails_among(snapshot, "HARD-25", f"Secret {ACP}/acp-tls-primary", "data[tls.crt][0]")


@pytest.mark.parametrize("row", ["HARD-25", "HARD-27"])
def test_what_clients_are_served_must_have_been_seen(row: str) -> None:
    snapshot = hardened()
    snapshot.served[:] = [each for each in snapshot.served if not each.where.startswith("ingress")]
    undecided(snapshot, row, "no certificate was seen at ingress")


def test_a_certificate_that_has_not_begun_fails() -> None:
    snapshot = hardened()
    early = msgspec.structs.replace(snapshot, taken_at="2020-01-01T00:00:00+00:00")
    fails_among(early, "HARD-27", "ingress https://localhost:8443", "chain[0].notBefore")


# probes that must have been run, ways in that are not read


def test_a_workspace_where_no_password_was_tried_leaves_doubt() -> None:
    snapshot = hardened()
    passes(snapshot, "HARD-08")
    tried = [name for name in snapshot.probes if name.startswith("login ")]
    where = tried[0].split(" ")[1]
    for name in tried:
        if name.split(" ")[1] == where:
            del snapshot.probes[name]
    probed(snapshot, "login acme/another admin", "refused")
    tenant, _, workspace = where.partition("/")
    path = f"/api/admin/{tenant}/servers/{workspace}/clients"
    snapshot.answers[path] = msgspec.structs.replace(
        next(iter(snapshot.answers.values())), status=200,
        body={"clients": [{"client_id": "web", "redirect_uris": ["https://a.test"]}]},
    )  # fmt: skip
    undecided(snapshot, "HARD-08", f"probe login {where} admin was not run")


def test_a_port_of_a_store_that_was_not_tried_leaves_doubt() -> None:
    snapshot = hardened()
    del snapshot.probes["foreign redis:16379"]
    undecided(snapshot, "HARD-50", "probe foreign redis:16379 was not run")


@pytest.mark.parametrize("kind", ["HTTPRoute", "IngressRoute", "VirtualService", "Route"])
def test_a_way_in_that_is_not_read_leaves_doubt(kind: str) -> None:
    snapshot = hardened()
    passes(snapshot, "HARD-03")
    snapshot.objects[kind].append({"metadata": {"name": "door", "namespace": ACP}, "spec": {}})
    undecided(snapshot, "HARD-03", f"{kind} {ACP}/door is a way in")
    undecided(snapshot, "HARD-29", f"{kind} {ACP}/door is a way in")


def test_a_copy_that_serves_nobody_does_not_ask_for_its_pods() -> None:
    snapshot = installation()
    named(snapshot, "Deployment", "acp")["spec"]["replicas"] = 0
    snapshot.objects["Pod"].remove(named(snapshot, "Pod", "acp-x"))
    passes(snapshot, "HARD-24")
    named(snapshot, "Deployment", "acp")["spec"]["replicas"] = 1
    undecided(snapshot, "HARD-24", f"no pod of Deployment {ACP}/acp")
