"""Rendered manifests become a snapshot that is silent where manifests are."""

import json
from pathlib import Path

import pytest
import yaml

from acpchaos.check.posture.judge import judge
from acpchaos.check.verdict import Outcome
from acpchaos.errors import UsageError
from acpchaos.posture.manifests import AROUND, SILENT, SOURCE, TOLD, from_manifests
from acpchaos.record import snapshot
from acpchaos.record.snapshot import Object, Snapshot
from acpchaos.target.profile import Profile, load_profile
from tests.posture import building_objects as building

STREAM = """\
# Source: acp/templates/config.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: acp}
data: {config.yaml: "redis: {password: hunter2hunter2}"}
---
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Service
    metadata: {name: one, namespace: other}
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRole
    metadata: {name: two}
---
apiVersion: v1
kind: Secret
metadata: {name: s, annotations: {helm.sh/hook: pre-install}}
stringData: {password: Zk4hY77pQ}
---
just: values
"""


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    path = tmp_path / "x.toml"
    path.write_text('[cluster]\ncontext = "none"\n[service]\nbase_url = "https://a.test"\n')
    return load_profile(path)


def taken(folder: Path, profile: Profile, *objects: Object, **files: str) -> Snapshot:
    """A snapshot of a folder with these objects, and these files NAME_SUFFIX beside."""
    place = folder / "rendered"
    (place / "deep").mkdir(parents=True)
    (place / "deep" / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    for name, text in files.items():
        (place / name.replace("_", ".")).write_text(text)
    return from_manifests(place, profile)


def source(found: Object) -> str:
    return str(found["metadata"]["annotations"][SOURCE])


def test_documents_lists_and_hooks_are_read_with_their_lines(
    tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = taken(tmp_path, profile, all_yaml=STREAM, notes_txt="kind: Secret")
    assert source(found.objects["ConfigMap"][0]) == "rendered/all.yaml:2"
    service, role = found.objects["Service"][0], found.objects["ClusterRole"][0]
    assert (source(service), source(role)) == ("rendered/all.yaml:11", "rendered/all.yaml:14")
    assert service["metadata"]["namespace"] == "other"
    assert "namespace" not in role["metadata"]
    hook = found.objects["Secret"][0]["metadata"]
    assert hook["namespace"] == "acp-system" and hook["annotations"]["helm.sh/hook"]
    assert source(found.objects["Secret"][0]) == "rendered/all.yaml:18"


def test_a_file_outside_the_working_folder_is_named_in_full(
    tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "one.json").write_text(json.dumps(building.raw("Service", "a")))
    found = from_manifests(tmp_path / "one.json", profile)
    assert source(found.objects["Service"][0]) == f"{tmp_path}/one.json:1"


def test_no_secret_is_kept(tmp_path: Path, profile: Profile) -> None:
    config = building.raw("ConfigMap", "a", data={"motto": "by Zk4hY77pQ"})
    found = taken(tmp_path, profile, config, all_yaml=STREAM)
    folder = snapshot.write(found, tmp_path / "written")
    text = "".join(each.read_text() for each in folder.rglob("*.json"))
    assert "hunter2" not in text and "Zk4hY77pQ" not in text
    again = snapshot.read(folder)
    assert again.objects == found.objects and again.source == "manifests"


def test_kinds_of_the_release_are_there_and_those_of_others_are_not(
    tmp_path: Path, profile: Profile
) -> None:
    test = building.raw("Pod", "helm-test", spec={"containers": []})
    bound = building.raw("ClusterRoleBinding", "ours", subjects=[])
    found = taken(tmp_path, profile, building.raw("Service", "a"), test, bound)
    assert set(found.objects) == {*TOLD, "Pod", "ClusterRoleBinding"}  # these as far as they go
    assert found.objects["Deployment"] == []
    assert set(found.unread) == {*SILENT, *AROUND, "Namespace"}


def test_what_stands_around_a_release_counts_when_it_is_seen(
    tmp_path: Path, profile: Profile
) -> None:
    sealed = building.raw("SealedSecret", "acp-secret", spec={"encryptedData": {"x": "AgBy"}})
    local = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
             "metadata": {"name": "not-flux"}}  # fmt: skip
    found = taken(tmp_path, profile, sealed, local)
    assert [each["metadata"]["name"] for each in found.objects["SealedSecret"]] == ["acp-secret"]
    assert "Kustomization" in found.unread and "SealedSecret" not in found.unread


@pytest.mark.parametrize(
    ("names", "told"), [(("acp-system",), False), (("acp-system", "ingress"), True)]
)
def test_namespaces_count_when_those_of_the_installation_are_there(
    tmp_path: Path, profile: Profile, names: tuple[str, ...], told: bool
) -> None:
    spaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names
    ]
    found = taken(tmp_path, profile, *spaces)
    assert ("Namespace" in found.objects) is told
    if told:
        labels = [each["metadata"]["labels"] for each in found.objects["Namespace"]]
        assert labels == [{"kubernetes.io/metadata.name": name} for name in names]


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({"ingress": []}, ["Ingress"]),
        ({"egress": [{}]}, ["Ingress", "Egress"]),
        ({"policyTypes": ["Egress"]}, ["Egress"]),
    ],
)
def test_policy_types_are_what_the_api_server_would_set(
    tmp_path: Path, profile: Profile, spec: Object, types: list[str]
) -> None:
    found = taken(tmp_path, profile, building.raw("NetworkPolicy", "a", spec=spec))
    assert found.objects["NetworkPolicy"][0]["spec"]["policyTypes"] == types


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("image: {{ .Values.image }}\nx: {{ a }}b", "while parsing"),
        ("a: [1", "while parsing"),
        ("just: values", "no Kubernetes object"),
        ("", "no Kubernetes object"),
        ("\n".join([f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" if n else "a0: &a0 [x, x]"
                    for n in range(9)]), "too large"),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(
    tmp_path: Path, profile: Profile, text: str, why: str
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UsageError, match=why) as caught:
        from_manifests(tmp_path / "a.yaml", profile)
    assert caught.value.exit_code == 4 and "helm template" in str(caught.value)


def test_an_absent_place_is_refused(tmp_path: Path, profile: Profile) -> None:
    with pytest.raises(UsageError, match="no such place"):
        from_manifests(tmp_path / "none", profile)


def test_odd_objects_are_passed_over(tmp_path: Path, profile: Profile) -> None:
    odd = "kind: Secret\n---\n[1, 2]\n---\napiVersion: v1\nkind: Secret\nmetadata:\n"
    found = taken(tmp_path, profile, building.raw("Service", "a", spec=None), odd_yaml=odd)
    assert found.objects["Secret"] == [] and len(found.objects["Service"]) == 1


def test_no_row_passes_on_the_manifests_of_something_else(tmp_path: Path, profile: Profile) -> None:
    found = taken(tmp_path, profile, building.raw("Service", "a"))
    passed = [row.row for row in judge(found) if row.verdict.outcome is Outcome.PASSED]
    assert passed == []
