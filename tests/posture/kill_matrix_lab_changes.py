"""The changes of live sabotage: each recorded in the cluster before it is made.

Workloads are changed without a rollout: the rows read the object, so no pod needs to restart.
"""

import base64
import copy
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonpatch
import yaml
from cryptography import x509

from acpchaos.check.posture.x509 import names, parsed
from acpchaos.faults.changes import RUN_LABEL, create_object
from acpchaos.faults.files import change_file, write_file
from acpchaos.faults.objects import (
    change_object,
    change_secret,
    change_words,
    state,
    write,
    write_secret,
    write_words,
)
from acpchaos.faults.records import add_records, path_of, write_records
from acpchaos.faults.undo import UndoLog
from acpchaos.record.snapshot import Snapshot
from acpchaos.target.cluster import ApiRefused, Cluster, Object
from acpchaos.target.kinds import find_kind
from acpchaos.target.profile import Profile
from acpchaos.wait import eventually
from lab.certificates import load_or_make_ca
from lab.paths import State
from posture.building_x509 import ENDING_DAYS, Issuer, with_key
from posture.kill_matrix_lab_look import Look
from posture.sabotage import PUBLISHED_PAIR, Misses, put

SERVED_S = 30.0  # a kind is served a moment after its definition was made
ENCRYPTION = Path("control-plane") / "encryption.yaml"  # in the lab's state folder
_RELOADS = "--encryption-provider-config-automatic-reload=true"
_HOLD: dict[str, dict[str, Any]] = {
    "Deployment": {"paused": True},
    "StatefulSet": {"updateStrategy": {"type": "OnDelete"}},
    "DaemonSet": {"updateStrategy": {"type": "OnDelete"}},
}
SLOW = ("certificate", "at_rest", "configure")  # caches and agents take their time both ways
Say = Callable[[str], None]


@dataclass(frozen=True)
class Lab:
    """The lab, and how its evidence is read."""

    cluster: Cluster
    profile: Profile
    log: UndoLog
    look: Callable[[Look], Snapshot]
    say: Say
    state: State


def make(lab: Lab, change: dict[str, Any]) -> None:
    """One change, recorded first. Those of attestations are no change of the cluster, and one of
    the probes' scratch namespace is made when they run."""
    if not (kind := next((each for each in (*_MAKERS, *_ELSEWHERE) if each in change), "")):
        raise Misses(f"no such change can be made live: {', '.join(change)}")
    if kind in _MAKERS:
        _MAKERS[kind](lab, change)


def is_slow(change: dict[str, Any]) -> bool:
    """Whether it takes a while until a look shows the change, or shows it no more."""
    added = (change.get("add") or {}).get("kind")
    return any(kind in change for kind in SLOW) or added == "CustomResourceDefinition"


def of_secret(change: dict[str, Any]) -> bool:
    """Whether the last write of a Secret is later than the start of the pods that read it."""
    return "secret" in change or str(change.get("object", "")).startswith("Secret ")


# objects


def _patch(lab: Lab, change: dict[str, Any]) -> None:
    kind, namespace, name = _parsed(change["object"])
    found = lab.cluster.get(kind, name, namespace)
    if kind == "Secret":
        _patch_words(lab, found, change["patch"])
        return
    recorded = change_object(kind, found)
    after = jsonpatch.apply_patch(state(kind, found), change["patch"])
    if any(each["path"].startswith("/spec/template") for each in change["patch"]):
        after["spec"] |= copy.deepcopy(_HOLD.get(kind, {}))
    lab.log.record(recorded)
    write(lab.cluster, kind, recorded, after)


def _patch_words(lab: Lab, secret: Object, patch: list[dict[str, Any]]) -> None:
    """Labels and annotations of a Secret; what it holds is changed by {secret, file, set} only."""
    if any(not each["path"].startswith("/metadata/") for each in patch):
        raise Misses("what a Secret holds is changed by {secret, file, set}, else it would leak")
    recorded = change_words("Secret", secret)
    meta = {key: secret["metadata"].get(key) or {} for key in ("labels", "annotations")}
    after = jsonpatch.apply_patch({"metadata": meta}, patch)
    lab.log.record(recorded)
    write_words(lab.cluster, recorded, after["metadata"])


def _delete(lab: Lab, change: dict[str, Any]) -> None:
    kind, namespace, name = _parsed(change["delete"])
    if kind == "Secret":
        raise Misses("a Secret is not deleted live: what it holds could be kept nowhere")
    found = lab.cluster.get(kind, name, namespace)
    lab.log.record(change_object(kind, found))
    lab.cluster.delete(kind, name, namespace, uid=found["metadata"]["uid"])


def _add(lab: Lab, change: dict[str, Any]) -> None:
    body = copy.deepcopy(change["add"])
    kind, meta = body["kind"], body["metadata"]
    meta["labels"] = {**(meta.get("labels") or {}), RUN_LABEL: lab.log.run_id}
    namespace = meta.get("namespace", "")
    lab.log.record(create_object(kind, namespace, meta["name"]))

    def created() -> bool:
        try:
            return bool(lab.cluster.create(kind, body, namespace))
        except ApiRefused as error:
            if error.status != 404:
                raise
            return False  # its definition was made just now and is not served yet

    eventually(f"the API to take {kind} {meta['name']}", created, SERVED_S)


def _parsed(text: str) -> tuple[str, str, str]:
    kind, _, place = text.partition(" ")
    namespace, _, name = place.rpartition("/")
    find_kind(kind)
    return kind, namespace, name


# Secrets and certificates


def _set(lab: Lab, change: dict[str, Any]) -> None:
    _, namespace, name = _parsed(f"Secret {change['secret']}")
    data = dict(lab.cluster.get("Secret", name, namespace).get("data") or {})
    if change["file"] not in data:
        raise Misses(f"Secret {change['secret']} has no file {change['file']}")
    content = yaml.safe_load(base64.b64decode(data[change["file"]]))
    for path, value in change["set"].items():
        put(content, path, value)
    data[change["file"]] = _encoded(yaml.safe_dump(content, sort_keys=False))
    _write_data(lab, namespace, name, data)


def _certify(lab: Lab, change: dict[str, Any]) -> None:
    """Another certificate with its key in a Secret, the CA beside it as it was."""
    _, namespace, name = _parsed(f"Secret {change['certificate']}")
    data = dict(lab.cluster.get("Secret", name, namespace).get("data") or {})
    if "tls.crt" not in data:
        raise Misses(f"Secret {change['certificate']} holds no certificate")
    held = parsed([base64.b64decode(data["tls.crt"]).decode()], name)[0]
    certificate, key = _pair(lab, change["with"], held)
    data |= {"tls.crt": _encoded(certificate), "tls.key": _encoded(key)}
    _write_data(lab, namespace, name, data)


def _pair(lab: Lab, how: str, held: x509.Certificate) -> tuple[str, str]:
    """(certificate, key) as PEM: the chart's published ones, or of the lab's own CA for the same
    names, with few days left, so that every client still takes it."""
    if how == "mock":
        certificate, key = PUBLISHED_PAIR
        return certificate.read_text(), key.read_text()
    if how != "ending":
        raise Misses(f"no such certificate can be had live: {how}")
    authority = load_or_make_ca(lab.state.root)
    issuer = Issuer.of(authority.certificate, authority.key, dt.datetime.now(dt.UTC))
    return with_key(issuer, [each for each in names(held) if _is_name(each)], ENDING_DAYS)


def _is_name(text: str) -> bool:
    return ":" not in text and not text.replace(".", "").isdigit()


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _write_data(lab: Lab, namespace: str, name: str, data: dict[str, str]) -> None:
    recorded = change_secret({"metadata": {"namespace": namespace, "name": name}})
    lab.log.record(recorded)
    write_secret(lab.cluster, recorded, data)


# ACP's own configuration


def _configure(lab: Lab, change: dict[str, Any]) -> None:
    """Records added to ACP; each is deleted again, or `again` is imported over it."""
    again = change.get("again")
    gone = [] if again else _ways_back(change["configure"])
    recorded = add_records(lab.profile, gone, again=again, instead=change.get("instead", ""))
    lab.log.record(recorded)
    write_records(lab.cluster, recorded, change["configure"])


def _ways_back(document: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """How the records of a document are found and deleted: what is in a new workspace or tenant
    goes with it."""
    found, whole = [], set[tuple[str, ...]]()
    for each in document.get("tenants") or []:
        whole.add((each["id"],))
        path = "/api/system/tenants"
        found.append((path, "tenants", each["id"], f"{path}/{each['id']}"))
    for each in document.get("servers") or []:
        tid, wid = each["tenant_id"], each["id"]
        if (tid,) not in whole:
            found.append((path_of(tid, "servers"), "servers", wid, path_of(tid, "servers", wid)))
        whole.add((tid, wid))
    for kind in ("idps", "clients", "users"):
        for each in document.get(kind) or []:
            tid, wid = each["tenant_id"], each["server_id"]
            if {(tid,), (tid, wid)} & whole:
                continue
            if kind == "users":
                raise Misses(f"user {each['id']} could not be deleted: put it in a new workspace")
            where = path_of(tid, "servers", wid, kind)
            own = f"{where}/{each['id']}" if kind == "idps" else path_of(tid, kind, each["id"])
            found.append((where, kind, each["id"], own))
    return found


# encryption at rest


def _at_rest(lab: Lab, change: dict[str, Any]) -> None:
    """The provider `identity` first: Secrets are written as plain text from then on, and those
    that were written before can still be read."""
    servers = lab.cluster.list("Pod", "kube-system", "component=kube-apiserver")
    words = [each["spec"]["containers"][0].get("command") or [] for each in servers]
    if not words or not all(_RELOADS in each for each in words):
        raise Misses(f"the API server was started without {_RELOADS}: acpchaos lab down, then up")
    path = lab.state.root / ENCRYPTION
    content = yaml.safe_load(path.read_text())
    for each in content["resources"]:
        each["providers"].sort(key=lambda provider: "identity" not in provider)
    recorded = change_file(path)
    lab.log.record(recorded)
    write_file(recorded, yaml.safe_dump(content))


_MAKERS: dict[str, Callable[[Lab, dict[str, Any]], None]] = {
    "object": _patch, "delete": _delete, "add": _add, "secret": _set, "certificate": _certify,
    "configure": _configure, "at_rest": _at_rest,
}  # fmt: skip
_ELSEWHERE = ("attestation", "scratch")
