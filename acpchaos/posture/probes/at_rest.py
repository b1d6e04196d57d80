"""At rest: is a Secret encrypted in etcd? Asked of etcd itself, about a Secret made for it.

Room: posture. Only where the profile's cluster is a lab's kind cluster: there etcd runs as a pod
with its own certificate. Elsewhere nobody but the operator sees etcd, so the row is attested.
"""

import base64
import json
import secrets

from acpchaos.errors import AcpchaosError
from acpchaos.posture.probes.attempts import unknown
from acpchaos.posture.probes.scratch import Scratch
from acpchaos.record.snapshot import Probe
from acpchaos.target.cluster import Cluster
from acpchaos.target.execute import execute
from acpchaos.target.profile import Profile

NAME = "at-rest"
ENCRYPTED = b"k8s:enc:"
_PKI = "/etc/kubernetes/pki/etcd"
_ETCDCTL = [
    "etcdctl", "--endpoints=https://127.0.0.1:2379", f"--cacert={_PKI}/ca.crt",
    f"--cert={_PKI}/server.crt", f"--key={_PKI}/server.key", "--write-out=json", "get",
]  # fmt: skip


def run(cluster: Cluster, profile: Profile, scratch: Scratch) -> dict[str, Probe]:
    """Write a Secret with a marker, read its raw value back from every member of etcd."""
    if not profile.cluster.lab:
        why = "etcd is read in a lab only; attest HARD-19 with what the cluster's operator says"
        return {NAME: unknown(why)}
    try:
        return {NAME: _probe(cluster, scratch)}
    except (AcpchaosError, ValueError) as error:
        return {NAME: unknown(getattr(error, "seen", str(error)))}


def _probe(cluster: Cluster, scratch: Scratch) -> Probe:
    marker = f"acpchaos-{secrets.token_hex(16)}"
    meta = {"name": NAME}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"m": marker}}
    scratch.create("Secret", body)
    key = f"/registry/secrets/{scratch.namespace}/{NAME}"
    members = cluster.list("Pod", "kube-system", "component=etcd")
    if not members:
        return unknown("no pod of etcd in kube-system")
    values = [_raw(cluster, member["metadata"]["name"], key) for member in members]
    texts = (marker.encode(), base64.b64encode(marker.encode()))
    if any(text in value for text in texts for value in values):
        return Probe(outcome="plain", saw=f"{key} holds the Secret's text as it was given")
    heads = [value.split(b":", 5)[:5] for value in values]
    if all(value.startswith(ENCRYPTED) for value in values):
        shown = {b":".join(head).decode("ascii", "replace") for head in heads}
        return Probe(outcome="encrypted", saw=f"{key} begins with {', '.join(sorted(shown))}")
    return unknown(f"{key} holds neither the text nor {ENCRYPTED.decode()}")


def _raw(cluster: Cluster, pod: str, key: str) -> bytes:
    done = execute(cluster, "kube-system", pod, "etcd", [*_ETCDCTL, key], timeout_s=10.0)
    found = json.loads(done.stdout).get("kvs") if done.code == 0 else None
    if not found:
        raise ValueError(f"etcdctl ended with {done.code}: {done.stderr[-200:]}")
    return base64.b64decode(found[0]["value"])
