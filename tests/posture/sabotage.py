"""Sabotage: one small change to a hardened installation that must turn one row red.

Read from lab/manifests/sabotage/<ROW>/*.yaml and applied to a snapshot without a cluster:

    row, says, companions (rows that fail with it), live, why_not_live, changes: a list of
      {object: "Kind namespace/name", patch: [RFC 6902]}   {delete: "Kind namespace/name"}
      {add: manifest}                   {secret: namespace/name, file, set: {path: plain text}}
      {answer: path, patch | status, body}                 {probe: name, outcome, saw}
      {served: prefix, with: mock | expired | ending | sha1 | other-name | short-key |
                             self-signed-fake}
      {certificate: Secret's namespace/name, with: mock | ending, served: prefix}
      {attestation: ROW, date}                             without a date it is removed

What only a live lab can be told is applied to a snapshot as what it `shows`, a list of the above:

      {configure: document for ACP to import, shows, again: document that undoes it,
       instead: secret that then opens client system}      else its records are deleted
      {scratch: manifest, shows}                           into the probes' own namespace
      {at_rest: plain, shows}                              the API server's encryption providers
"""

import copy
import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonpatch
import msgspec
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from acpchaos.check.posture.attestations import Attestation
from acpchaos.check.posture.objects import label, namespace_of
from acpchaos.check.posture.x509 import names
from acpchaos.posture.redaction import Sealer
from acpchaos.posture.sealing import sealed_object, secret_value
from acpchaos.record.snapshot import LAST_CHANGE, Answer, Object, Probe, Served, Snapshot
from posture.building_x509 import ENDING_DAYS, Issuer, chain, weakly_signed

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "lab" / "manifests" / "sabotage"
MOCK = Path(__file__).parent / "data" / "mock-certificate.pem"
FAKE = "Kubernetes Ingress Controller Fake Certificate"
PUBLISHED = PROJECT / "lab" / "manifests" / "overlays" / "vendor-default"
PUBLISHED_PAIR = (PUBLISHED / "cert.pem", PUBLISHED / "cert-key.pem")
_SHOWN = ("configure", "scratch", "at_rest")
_CHANGES = (
    *_SHOWN, "certificate", "object", "delete", "add", "secret", "answer", "probe", "served",
    "attestation",
)  # fmt: skip


class Sabotage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file. A change that cannot be made on a live lab says why."""

    row: str
    says: str
    changes: list[dict[str, Any]]
    companions: tuple[str, ...] = ()
    live: bool = False
    why_not_live: str = ""

    def __post_init__(self) -> None:
        for change in self.changes:
            kinds = [kind for kind in _CHANGES if kind in change]
            if kinds not in ([each] for each in _CHANGES) and kinds != ["certificate", "served"]:
                raise ValueError(f"a change has exactly one of {', '.join(_CHANGES)}: {change}")
            if kinds[0] in _SHOWN and not change.get("shows"):
                raise ValueError(f"{kinds[0]} without what it shows: {change}")
        if not (self.says.strip() and self.changes):
            raise ValueError("says and changes must be given")
        if not self.live and not self.why_not_live.strip():
            raise ValueError("live is false without why_not_live")


class Misses(Exception):
    """A change that finds nothing to change: the sabotage itself is broken."""


@dataclass(frozen=True)
class Scene:
    """What a row is judged from."""

    snapshot: Snapshot
    attestations: tuple[Attestation, ...]
    sign: Callable[[Attestation], Attestation]


def load(folder: Path = FOLDER) -> list[tuple[Path, Sabotage]]:
    """All files by row; a folder is named after its row."""
    found = []
    for path in sorted(folder.glob("*/*.yaml")):
        read = msgspec.convert(yaml.safe_load(path.read_text()), Sabotage)
        if read.row != path.parent.name:
            raise ValueError(f"{path} is about {read.row}")
        found.append((path, read))
    return found


def apply(scene: Scene, changes: Iterable[dict[str, Any]]) -> Scene:
    """The scene after all changes; the given one stays as it is. Misses when one finds nothing."""
    for change in changes:
        kind = next(each for each in _CHANGES if each in change)
        if kind in _SHOWN:
            scene = apply(scene, change["shows"])
        elif kind == "attestation":
            scene = replace(scene, attestations=_attested(scene, change))
        else:
            scene = replace(scene, snapshot=_APPLY[kind](scene.snapshot, change))
    return scene


# objects


def _patched(snapshot: Snapshot, change: dict[str, Any]) -> Snapshot:
    kind, _, name = change["object"].partition(" ")
    before = _named(snapshot, kind, name)
    after = jsonpatch.apply_patch(before, change["patch"])
    if kind == "Secret":  # its data is sealed plain text already, not base64
        after = _written(snapshot, after)
    else:
        after = {**after, **sealed_object(kind, after, Sealer())}
    return _with_objects(snapshot, kind, before, after)


def _deleted(snapshot: Snapshot, change: dict[str, Any]) -> Snapshot:
    kind, _, name = change["delete"].partition(" ")
    return _with_objects(snapshot, kind, _named(snapshot, kind, name), None)


def _added(snapshot: Snapshot, change: dict[str, Any]) -> Snapshot:
    manifest = change["add"]
    kind = manifest["kind"]
    if any(label(kind, each) == label(kind, manifest) for each in snapshot.objects.get(kind, [])):
        raise Misses(f"{label(kind, manifest)} is there already")
    sealed = sealed_object(kind, manifest, Sealer())
    if kind == "Secret":
        sealed = _written(snapshot, sealed)
    status = {"status": manifest["status"]} if "status" in manifest else {}
    return _with_objects(snapshot, kind, None, {**sealed, **status})


def _secret_set(snapshot: Snapshot, change: dict[str, Any]) -> Snapshot:
    """A plain value in a settings file of a Secret, sealed as the collector does it."""
    before, file = _named(snapshot, "Secret", change["secret"]), change["file"]
    if file not in (before.get("data") or {}):
        raise Misses(f"Secret {change['secret']} has no file {file}")
    content = yaml.safe_load(before["data"][file])
    plain = {path: msgspec.to_builtins(value) for path, value in change["set"].items()}
    for path, value in plain.items():
        put(content, path, _sealed_value(value, path))
    after = copy.deepcopy(before)
    after["data"][file] = yaml.safe_dump(content, sort_keys=False)
    return _with_objects(snapshot, "Secret", before, _written(snapshot, after))


def _written(snapshot: Snapshot, found: Object) -> Object:
    """As the API server keeps it: changed now. A Secret's change is what pods must know of."""
    meta = found["metadata"]
    notes = {**(meta.get("annotations") or {}), LAST_CHANGE: snapshot.taken_at}
    return {**found, "metadata": {**meta, "annotations": notes}}


def _sealed_value(value: Any, path: str) -> Any:
    """As one setting of a file would be sealed; None takes the setting away."""
    if value is None:
        return None
    key = path.rpartition(".")[2].partition("[")[0]
    text = secret_value(Sealer(), "config.yaml", yaml.safe_dump({key: value}).encode())
    return yaml.safe_load(text)[key]


def put(content: Any, path: str, value: Any) -> None:
    """Set a dotted path such as secrets[0].key in a document; None removes the key."""
    keys = path.replace("[", ".").replace("]", "").split(".")
    for key in keys[:-1]:
        content = content[int(key)] if isinstance(content, list) else content.setdefault(key, {})
    last: Any = int(keys[-1]) if isinstance(content, list) else keys[-1]
    if value is None:
        content.pop(last)
    else:
        content[last] = value


def _named(snapshot: Snapshot, kind: str, name: str) -> Object:
    namespace, _, own = name.rpartition("/")
    for each in snapshot.objects.get(kind, []):
        if each["metadata"]["name"] == own and namespace_of(each) == namespace:
            return each
    raise Misses(f"{kind} {name} is not there")


def _with_objects(
    snapshot: Snapshot, kind: str, before: Object | None, after: Object | None
) -> Snapshot:
    """One object replaced, added (no `before`) or removed (no `after`)."""
    kept = [each for each in snapshot.objects.get(kind, []) if each is not before]
    objects = {**snapshot.objects, kind: [*kept, *([after] if after is not None else [])]}
    return msgspec.structs.replace(snapshot, objects=objects)


# answers, probes, certificates, attestations


def _answered(snapshot: Snapshot, change: dict[str, Any]) -> Snapshot:
    path, before = change["answer"], snapshot.answers.get(change["answer"])
    if "patch" in change:
        if before is None:
            raise Misses(f"{path} was not asked")
        body = jsonpatch.apply_patch(before.body, change["patch"])
        after = msgspec.structs.replace(before, body=body)
    else:
        after = Answer(status=change["status"], body=change.get("body"))
    return msgspec.structs.replace(snapshot, answers={**snapshot.answers, path: after})


def _probed(snapshot: Snapshot, change: dict[str, Any]) -> Snapshot:
    after = Probe(outcome=change["outcome"], saw=change.get("saw", ""))
    return msgspec.structs.replace(snapshot, probes={**snapshot.probes, change["probe"]: after})


def _served(snapshot: Snapshot, change: dict[str, Any]) -> Snapshot:
    """Another certificate at each place whose name begins so: wrong in one way only."""
    prefix = change["served"]
    hit = [each for each in snapshot.served if each.where.startswith(prefix) and each.chain]
    if not hit:
        raise Misses(f"no certificate was seen at {prefix}")
    served = [_wrong(s, change["with"], snapshot) if s in hit else s for s in snapshot.served]
    return msgspec.structs.replace(snapshot, served=served)


def _certified(snapshot: Snapshot, change: dict[str, Any]) -> Snapshot:
    """Another certificate in a Secret, and what is served from it."""
    served = _served(snapshot, {"served": change["served"], "with": change["with"]})
    before = _named(snapshot, "Secret", change["certificate"])
    mine = next(each for each in served.served if each.where.startswith(change["served"]))
    after = copy.deepcopy(before)
    after["data"]["tls.crt"] = "".join(mine.chain)
    if change["with"] == "mock":
        key = PUBLISHED_PAIR[1].read_bytes()
        after["data"]["tls.key"] = secret_value(Sealer(), "tls.key", key)
    return _with_objects(served, "Secret", before, _written(snapshot, after))


def _wrong(served: Served, how: str, snapshot: Snapshot) -> Served:
    now = dt.datetime.fromisoformat(snapshot.taken_at)
    issuer = Issuer("sabotage CA", now)
    own = list(names(x509.load_pem_x509_certificate(served.chain[0].encode())))
    kept = [each for each in own if not each.replace(".", "").isdigit() and ":" not in each]
    made: dict[str, Callable[[], tuple[str, ...]]] = {
        "mock": lambda: (MOCK.read_text(),),
        "expired": lambda: chain(issuer, kept, days=-1),
        "ending": lambda: chain(issuer, kept, days=ENDING_DAYS),
        "sha1": lambda: weakly_signed(issuer, kept, "sha1"),
        "other-name": lambda: chain(issuer, ["other.example.test"]),
        "short-key": lambda: chain(issuer, kept, key=rsa.generate_private_key(65537, 1024)),
        "self-signed-fake": lambda: chain(issuer, kept, subject=FAKE)[:1],
    }
    return msgspec.structs.replace(served, chain=made[how]())


def _attested(scene: Scene, change: dict[str, Any]) -> tuple[Attestation, ...]:
    mine = [each for each in scene.attestations if each.row == change["attestation"]]
    if not mine:
        raise Misses(f"{change['attestation']} is not attested")
    kept = tuple(each for each in scene.attestations if each not in mine)
    if (date := change.get("date")) is None:
        return kept
    day = date if isinstance(date, dt.date) else dt.date.fromisoformat(date)
    return (*kept, *(scene.sign(msgspec.structs.replace(each, date=day)) for each in mine))


_APPLY: dict[str, Callable[[Snapshot, dict[str, Any]], Snapshot]] = {
    "object": _patched, "delete": _deleted, "add": _added, "secret": _secret_set,
    "answer": _answered, "probe": _probed, "served": _served,
    "certificate": _certified,
}  # fmt: skip
