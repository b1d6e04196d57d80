"""No secret leaves a cluster in a snapshot, and what rules read stays readable."""

import datetime as dt
import hashlib
import json
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from acpchaos.posture.documents import LOADER, sealed_document, sealed_tree, sealed_value
from acpchaos.posture.redaction import Sealer, names_a_secret
from acpchaos.posture.sealing import sealed_object, secret_value
from acpchaos.record import sealed, snapshot
from acpchaos.record.sealed import opened
from acpchaos.record.snapshot import LAST_CHANGE, Answer, Object, Scope, Snapshot
from tests.posture import building_objects as building
from tests.posture.building_x509 import Issuer

ANY_TEXT = st.text(
    st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=8
)
LIKELY = st.text("abcXYZ019-_!@#$%^&*(){}[]:;'\"\\/?<>|,. +=~`", min_size=8)
PLAIN = "MvQ7-otherwise-9Xw"


def taken(secret: str) -> Snapshot:
    """A snapshot of a cluster where this secret stands everywhere."""
    sealer = Sealer()
    objects: dict[str, list[Object]] = {}
    for each in [*building.secrets(secret), *building.others(secret)]:
        kept = sealed_object(each["kind"], each, sealer)
        objects.setdefault(each["kind"], []).append(kept)
    body = sealed_tree(building.answer(secret), partial(sealed_value, sealer))
    return Snapshot(
        source="live", taken_at="2025-02-01T00:00:00Z", scope=Scope(profile="x"), objects=objects,
        answers={"/api/admin/t/servers/w/clients": Answer(status=200, body=body)},
    )  # fmt: skip


def written(found: Snapshot) -> str:
    """All that a reader of the folder can see: the files, and every text in them decoded."""
    with tempfile.TemporaryDirectory() as folder:
        files = [p.read_text() for p in snapshot.write(found, Path(folder) / "s").rglob("*.json")]
    return "\0".join([*files, *(text for file in files for text in texts(json.loads(file)))])


def texts(value: Any) -> list[str]:
    """Every text and key; a text that is itself a document counts as read, too."""
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    if not isinstance(value, str):
        return [str(value)]
    try:
        inner = yaml.load(value, Loader=LOADER)
    except (yaml.YAMLError, ValueError):
        return [value]
    return [value, *(texts(inner) if isinstance(inner, dict | list) else [])]


@cache
def without_a_secret() -> str:
    return written(taken(PLAIN))


@settings(max_examples=50, deadline=None)
@given(st.one_of(ANY_TEXT, LIKELY, LIKELY.map(lambda text: f"{text}\n{text}")))
def test_no_secret_can_be_found_in_the_folder(secret: str) -> None:
    assume(secret.strip() and "://" not in secret and not secret.startswith("sealed:"))
    assume(len(secret.strip()) >= 8 and not secret.lstrip().startswith(("$(", "${", "{{")))
    assume(not secret.startswith("--"))  # after a secret flag it is taken for the next flag
    assume(secret.strip() not in without_a_secret())
    found = written(taken(secret))
    for form in (secret, secret.strip(), building.encoded(secret), json.dumps(secret)[1:-1]):
        assert form not in found


def test_the_property_would_see_a_leak() -> None:
    leaky = Snapshot(
        source="live", taken_at="", scope=Scope(profile="x"),
        objects={"ConfigMap": [{"metadata": {"name": "a"}, "data": {"x": f"a: {PLAIN}"}}]},
    )  # fmt: skip
    assert PLAIN in written(leaky)


@settings(max_examples=50, deadline=None)
@given(ANY_TEXT, st.sampled_from([(yaml.safe_dump, yaml.safe_load), (json.dumps, json.loads)]))
def test_a_sealed_document_means_the_same_but_for_its_secrets(text: str, form: Any) -> None:
    given = {"a": [1, {"password": text, "note": "é😀 plain"}], "b": {"c": None, "d": True}}
    dump, load = form
    found = load(sealed_document(Sealer(), dump(given)))
    held = found["a"][1].pop("password")
    assert found == {"a": [1, {"note": "é😀 plain"}], "b": {"c": None, "d": True}}
    plain = not text.strip() or text.strip().startswith(("$", "{{"))
    assert plain or opened(held)


def test_a_document_keeps_its_text_around_the_secrets() -> None:
    text = (
        "# password: hunter2 of old\nserver: {port: 8443}  # token=abcdef\n"
        "redis:\n  password: >-\n    two\n    lines\n  pin: &p 12345678\n  token: *p\n"
        "start.sh: |\n  export PASSWORD=foo bar\n  requirepass qwerty\n"
    )
    found = sealed_document(Sealer(), text)
    for secret in ("hunter2", "abcdef", "two\n", "12345678", "foo", "qwerty"):
        assert secret not in found
    assert found.startswith("# password: sealed:")
    assert "server: {port: 8443}  # token=sealed:" in found
    parsed = yaml.safe_load(found)
    assert opened(parsed["redis"]["token"]) == opened(parsed["redis"]["pin"])
    assert opened(parsed["redis"]["password"]).length == len("two lines")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    [
        "a: {{ .Values.x }}\npassword: hunter2hunter2\n",
        "password: one-secret\npassword: hunter2hunter2\n",
        "&a [*a, {password: hunter2hunter2}]",
        "[default]\nredis.password = hunter2hunter2\n",
    ],
    ids=["template", "key twice", "endless", "no YAML"],
)
def test_texts_that_are_no_plain_yaml_are_sealed_line_by_line(text: str) -> None:
    found = sealed_document(Sealer(), text)
    assert "hunter2" not in found and "one-secret" not in found
    assert "sealed:" in found


def test_aliases_that_explode_are_not_followed() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    text = "\n".join([*lines, "password: hunter2hunter2"])
    assert "hunter2" not in sealed_document(Sealer(), text)
    assert opened(secret_value(Sealer(), "config.yaml", text.encode()))


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("password", True), ("PGPASSWORD", True), ("clientSecret", True), ("--secret-key", True),
        ("--secret.key", True), ("AWS_SECRET_ACCESS_KEY", True), ("repo1-cipher-pass", True),
        ("client_secret_2", True), ("token", True), ("x-api-key", True),
        ("secretName", False), ("--secret-id", False), ("token_url", False), ("bypass", False),
        ("access_token_ttl", False), ("existingSecret", False), ("key_path", False),
        ("tls.key", False), ("PASSWORD_FILE", False), ("automountServiceAccountToken", True),
    ],
)  # fmt: skip
def test_which_names_hold_secrets(name: str, holds: bool) -> None:
    assert names_a_secret(name) is holds


def test_switches_and_references_are_no_secrets() -> None:
    values = {"token": True, "secret": "false", "password": "$(REDIS_PASSWORD)", "pwd": "${X}"}
    given = {**values, "secrets": [{"name": "acp-pull"}], "secretRef": {"name": "a", "key": "b"}}
    assert sealed_tree(given, partial(sealed_value, Sealer())) == given


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgres://acp:{}@db:5432/acp?sslmode=disable", "@db:5432/acp?sslmode=disable"),
        ("redis://:{}@redis:6379/0", "@redis:6379/0"),
        ("https://u:{}@host.test/path", "@host.test/path"),
        ("postgres://db/acp?user=a&password={}", "postgres://db/acp?user=a&password="),
        ("postgres://u:p@ss/w?rd#{}@db/acp", "@db/acp"),
    ],
)
def test_a_url_loses_its_credentials_only(url: str, kept: str) -> None:
    found = sealed_value(Sealer(), "SQL_URL", url.format(PLAIN))
    assert PLAIN not in found and "p@ss" not in found
    assert kept in found and "sealed:" in found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SECRETS", '[{"id": "a", "key": "Zk4hY77pQ"}]'),
        ("ARG", '--secrets=[{"id": "a", "key": "Zk4hY77pQ"}]'),
        ("config", "x: {{ a }}b\nsecrets:\n  - id: a\n    key: Zk4hY77pQ\n"),
        ("TOKENS", "- Zk4hY77pQ\n- b\n"),
    ],
)
def test_a_list_of_keys_is_told_by_its_name(name: str, text: str) -> None:
    found = sealed_value(Sealer(), name, text)
    assert "Zk4hY77pQ" not in found and "sealed:" in found
    config = building.raw("ConfigMap", "a", data={f"{name.lower()}.yaml": text})
    assert "Zk4hY77pQ" not in sealed_object("ConfigMap", config, Sealer())["data"].popitem()[1]


def test_a_flag_after_a_secret_flag_stays() -> None:
    args = ["--token", "--dev", "--secret-key", "-x-Y9-ABCD", "--config", "/a,/b"]
    found = sealed_tree({"args": args}, partial(sealed_value, Sealer()))["args"]
    assert found[:3] == ["--token", "--dev", "--secret-key"]
    assert opened(found[3]) and found[4:] == ["--config", "/a,/b"]


def test_settings_in_a_secret_keep_their_structure() -> None:
    kept = sealed_object("Secret", building.secrets(PLAIN)[2], Sealer())
    found = yaml.safe_load(kept["data"]["config.yaml"])
    assert found["server"] == {"port": 8443}
    assert opened(found["system"]["secret"]) == opened(found["secrets"][0]["key"])
    user, _, rest = found["sql"]["url"].partition("sealed:")
    assert user == "postgres://acp:" and rest.endswith("@db:5432/acp?sslmode=disable")


def test_equal_values_are_equal_in_one_snapshot_only() -> None:
    data = building.secrets(PLAIN)
    one, other = Sealer(), Sealer()
    first = sealed_object("Secret", data[0], one)["data"]["password"]
    again = sealed_object("Secret", data[1], one)["data"]["any"]
    apart = sealed_object("Secret", data[0], other)["data"]["password"]
    assert first == again != apart


def test_a_published_value_is_told_by_name() -> None:
    found = secret_value(Sealer(), "system.yaml", b"system: {secret: mysecret}")
    held = opened(yaml.safe_load(found)["system"]["secret"])
    assert held and held.published == "docs-secret-1"


def test_certificates_stay_and_their_keys_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    spki = key.public_key().public_bytes(serialization.Encoding.DER, form)
    known = {hashlib.sha256(spki).hexdigest(): "mock-certificate-key"}
    monkeypatch.setattr("acpchaos.posture.redaction.PUBLISHED_KEYS", known)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate = Issuer("ca", dt.datetime.now(dt.UTC)).pem
    both = f"Bag Attributes: x\n{certificate}{pem.decode()}"
    found = secret_value(Sealer(), "tls.pem", both.encode())
    assert found.startswith(certificate.strip()) and "PRIVATE" not in found and "Bag" not in found
    told = opened(secret_value(Sealer(), "tls.key", pem))
    assert told and told.published == "mock-certificate-key"
    assert secret_value(Sealer(), "tls.crt", certificate.encode()) == certificate
    in_text = sealed_document(
        Sealer(), f"key: |\n  {pem.decode().replace(chr(10), chr(10) + '  ')}"
    )
    assert ":mock-certificate-key" in in_text and "PRIVATE" not in in_text


def test_a_secrets_value_is_found_under_an_innocent_name() -> None:
    sealer = Sealer()
    data = {"password": building.encoded("zK4-hY77-pQ"), "user": building.encoded("postgres")}
    sealed_object("Secret", building.raw("Secret", "a", data=data), sealer)
    config = building.raw("ConfigMap", "b", data={"x": "motto zK4-hY77-pQ of postgres:16"})
    found = sealed_object("ConfigMap", config, sealer)["data"]["x"]
    assert "zK4" not in found
    assert found.endswith("of postgres:16")  # a word that may stand anywhere is not looked for


def test_a_web_hook_keeps_its_host_only() -> None:
    found = secret_value(Sealer(), "hook", b"https://hooks.test/T0/B0/kHh32")
    assert found.startswith("https://hooks.test/sealed:") and "kHh32" not in found


def test_metadata_is_thinned_and_the_last_change_kept() -> None:
    given = building.raw("Secret", "a", data={})
    given["metadata"] |= {
        "uid": "u", "resourceVersion": "7", "creationTimestamp": "2025-01-01T00:00:00Z",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x"},
        "ownerReferences": [{"kind": "SealedSecret", "name": "a", "uid": "o", "controller": True}],
        "managedFields": [
            {"manager": "a", "time": "2025-01-02T00:00:00Z"},
            {"manager": "b", "time": "2025-01-03T00:00:00Z"},
            {"manager": "c", "time": "2025-01-09T00:00:00Z", "subresource": "status"},
        ],
    }  # fmt: skip
    assert sealed_object("Secret", given, Sealer()) == {
        "metadata": {
            "name": "a", "namespace": building.NAMESPACE,
            "creationTimestamp": "2025-01-01T00:00:00Z",
            "annotations": {LAST_CHANGE: "2025-01-03T00:00:00Z"},
            "ownerReferences": [{"kind": "SealedSecret", "name": "a", "controller": True}],
        },
        "type": "Opaque", "data": {},
    }  # fmt: skip


def test_a_pod_keeps_what_rules_read() -> None:
    status = {
        "phase": "Running", "startTime": "t", "podIP": "10.0.0.1", "qosClass": "Burstable",
        "containerStatuses": [{
            "name": "acp", "image": "i", "imageID": "sha", "ready": True, "containerID": "c",
            "state": {"running": {"startedAt": "t2"}},
        }],
    }  # fmt: skip
    container = {"name": "acp", "image": "i", "securityContext": {"runAsUser": 5}, "resources": {}}
    spec = {"nodeName": "n", "tolerations": [{}], "containers": [container]}
    found = sealed_object("Pod", building.raw("Pod", "p", spec=spec, status=status), Sealer())
    del container["resources"]
    assert found["spec"] == {"nodeName": "n", "containers": [container]}
    assert found["status"] == {
        "phase": "Running", "startTime": "t", "podIP": "10.0.0.1",
        "containerStatuses": [{
            "name": "acp", "image": "i", "imageID": "sha", "ready": True,
            "state": {"running": {"startedAt": "t2"}},
        }],
    }  # fmt: skip


def test_ingress_annotations_name_secrets() -> None:
    given = {
        "nginx.ingress.kubernetes.io/auth-secret": "ns/basic",
        "nginx.ingress.kubernetes.io/proxy-ssl-secret": "acp-system/acp-tls",
    }
    ingress = building.raw("Ingress", "a", annotations=given, spec={"tls": [{"secretName": "s"}]})
    found = sealed_object("Ingress", ingress, Sealer())
    assert found["metadata"]["annotations"] == given
    assert found["spec"] == {"tls": [{"secretName": "s"}]}


def test_an_external_secret_names_keys_and_no_secret() -> None:
    spec = {"data": [{"secretKey": "password", "remoteRef": {"key": "acp/redis"}}]}
    made = building.raw("ExternalSecret", "a", spec=spec)
    assert sealed_object("ExternalSecret", made, Sealer())["spec"] == spec


def test_odd_manifests_do_not_stop_it() -> None:
    odd = {"annotations": {"a": True, "b": 5}, "data": {"x": None, 3: 7}, "spec": None}
    for kind in ("Secret", "ConfigMap", "Pod", "Deployment"):
        found = sealed_object(kind, building.raw(kind, "a", **odd), Sealer())
        assert found["metadata"]["annotations"] == {"a": "True", "b": "5"}
    assert sealed.opened(secret_value(Sealer(), "blob", b"\xff\xfe\x00 binary"))
