"""At rest: what etcd holds decides, and only in a lab."""

import base64
import json
from pathlib import Path

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.posture.probes import at_rest
from acpchaos.posture.probes.scratch import Scratch
from acpchaos.record.snapshot import Probe
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import load_profile


def probe(api: FakeApi, folder: Path, lab: str = "acpchaos") -> Probe:
    path = scene.write_profile(api, folder)
    path.write_text(path.read_text().replace("[cluster]\n", f'[cluster]\nlab = "{lab}"\n'))
    profile = load_profile(path)
    cluster = Cluster.from_profile(profile)
    made = Scratch(cluster, profile, "test")
    made.open()
    return at_rest.run(cluster, profile, made)["at-rest"]


def etcd(api: FakeApi, *values: bytes, code: int = 0) -> None:
    """One member per value; `MARK` stands for the text of the Secret."""
    by_pod = {}
    for number, value in enumerate(values):
        name = f"etcd-{number}"
        meta = {"name": name, "namespace": "kube-system", "labels": {"component": "etcd"}}
        api.store.put("pods", {"metadata": meta, "spec": {"nodeName": "x"}, "status": {}})
        by_pod[name] = value

    def answer(pod: str, argv: list[str]) -> tuple[str, int]:
        assert argv[0] == "etcdctl" and argv[-1] == (
            "/registry/secrets/acpchaos-posture-test/at-rest"
        )
        secret = api.store.objects[("secrets", "acpchaos-posture-test", "at-rest")]
        raw = by_pod[pod].replace(b"MARK", secret["stringData"]["m"].encode())
        kvs = [{"key": "", "value": base64.b64encode(raw).decode()}] if raw else []
        return json.dumps({"kvs": kvs}), code

    api.on_exec = answer


SEALED = b"k8s:enc:secretbox:v1:lab:\x8f\x01:\x02"


def test_a_value_under_a_provider_is_encrypted(api: FakeApi, tmp_path: Path) -> None:
    etcd(api, SEALED, SEALED)
    found = probe(api, tmp_path)
    assert found.outcome == "encrypted" and found.saw.endswith("k8s:enc:secretbox:v1:lab")


@pytest.mark.parametrize("raw", [b"k8s\x00\x12MARK\x1a", b"k8s:enc:identity:MARK"])
def test_a_value_with_the_text_in_it_is_plain(api: FakeApi, tmp_path: Path, raw: bytes) -> None:
    etcd(api, SEALED, raw)  # one member is enough
    assert probe(api, tmp_path).outcome == "plain"


@pytest.mark.parametrize(("raw", "code"), [(b"something else", 0), (b"", 0), (SEALED, 1)])
def test_anything_else_proves_nothing(api: FakeApi, tmp_path: Path, raw: bytes, code: int) -> None:
    etcd(api, raw, code=code)
    assert probe(api, tmp_path).outcome == "unknown"


def test_without_etcd_in_sight_nothing_is_proven(api: FakeApi, tmp_path: Path) -> None:
    assert probe(api, tmp_path).outcome == "unknown"


def test_outside_of_a_lab_nothing_is_made(api: FakeApi, tmp_path: Path) -> None:
    etcd(api, SEALED)
    found = probe(api, tmp_path, lab="")
    assert (found.outcome, "attest" in found.saw) == ("unknown", True)
    assert not any(key[0] == "secrets" for key in api.store.objects)
