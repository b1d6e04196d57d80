"""The vendor-default lab without a cluster: its overlay rendered, and the stand-in's answers then.

The overlay is rendered from its own files by the few rules of kustomize that it uses, the answers
are those of the records which the stand-in makes for the overlay's flags, so that a change of
either is seen here.
"""

import copy
import re
from typing import Any

import jsonpatch
import msgspec
import yaml

from acpchaos.posture.redaction import Sealer
from acpchaos.posture.sealing import secret_value
from acpchaos.record.snapshot import Answer, Object, Probe, Served, Snapshot
from lab.standin.defaults import USERS, default_objects, system_objects
from lab.standin.model import Client, Idp, Record, Server, Tenant
from lab.standin.settings import Flags, Settings, build
from posture.building_lab import ACP, _pod_of, documents, hardened
from posture.sabotage import MOCK, PUBLISHED, PUBLISHED_PAIR

BASE = "https://localhost:8443"
OPENED = {"cni control", "controller acp:8443"}


def vendor_default() -> Snapshot:
    """A snapshot of the lab as `acpchaos lab up --install vendor-default` makes it, probed."""
    base, manifests = hardened(), rendered()
    main = next(each for each in manifests if _is(each, "Deployment", "acp"))
    settings = _settings(main)
    served = Served(where=f"pod {ACP}/acp-5d4f-x:8443", chain=(MOCK.read_text(),))
    kept = [each for each in base.served if each.where.startswith("ingress")]
    return msgspec.structs.replace(
        base, objects=_objects(base, manifests, main), answers=_answers(settings),
        served=[served, *kept], probes=_probes(base),
    )  # fmt: skip


# the overlay


def rendered() -> list[Object]:
    """The hardened lab's manifests with the patches of the overlay."""
    told = yaml.safe_load((PUBLISHED / "kustomization.yaml").read_text())
    found = copy.deepcopy(documents())
    for patch in told["patches"]:
        text = (PUBLISHED / patch["path"]).read_text() if "path" in patch else patch["patch"]
        body = yaml.safe_load(text)
        hit = [each for each in found if _targeted(each, patch["target"])]
        if not hit:
            raise ValueError(f"a patch of the overlay finds nothing: {patch['target']}")
        if isinstance(body, list):
            for each in hit:
                each.update(jsonpatch.apply_patch(each, body))
                _drop_absent(each, body)
        elif body.get("$patch") == "delete":
            found = [each for each in found if each not in hit]
        else:
            for each in hit:
                _merge(each, body)
    return found


def _targeted(found: Object, target: dict[str, str]) -> bool:
    meta = found["metadata"]
    seen = {"kind": found["kind"], "name": meta["name"], "namespace": meta.get("namespace", "")}
    return all(re.fullmatch(pattern, seen[key]) for key, pattern in target.items())


def _drop_absent(found: Object, operations: list[Object]) -> None:
    """`update` keeps what a patch removed at the top; patches here reach deeper only."""
    assert all(each["path"].count("/") > 1 for each in operations), found["kind"]


def _merge(into: Object, patch: Object) -> None:
    """A strategic merge: null takes away, lists of named things are merged by name."""
    for key, value in patch.items():
        there = into.get(key)
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(there, dict):
            _merge(there, value)
        elif isinstance(value, list) and isinstance(there, list) and _named(value):
            for each in value:
                mine = next((old for old in there if old["name"] == each["name"]), None)
                _merge(mine, each) if mine is not None else there.append(each)
        else:
            into[key] = copy.deepcopy(value)


def _named(entries: list[Any]) -> bool:
    return all(isinstance(each, dict) and "name" in each for each in entries)


def _is(found: Object, kind: str, name: str) -> bool:
    return bool(found["kind"] == kind and found["metadata"]["name"] == name)


def _objects(base: Snapshot, manifests: list[Object], main: Object) -> dict[str, list[Object]]:
    """The hardened lab's objects, those of manifests replaced, with the chart's Secrets."""
    before = {_key(each) for each in documents()}
    objects = {
        kind: [each for each in found if (kind, *_place(each)) not in before and kind != "Pod"]
        for kind, found in base.objects.items()
    }
    for each in manifests:
        objects.setdefault(each["kind"], []).append(each)
    for each in objects["Deployment"]:
        if each["metadata"]["namespace"] == ACP:
            objects["Pod"].append(_pod_of(each))
    servers = [each for each in base.objects["Pod"] if each["metadata"]["namespace"] != ACP]
    objects["Pod"] += servers
    for notes in (each["metadata"] for each in base.objects["Deployment"] if _is_acp(each)):
        main["metadata"]["annotations"] = dict(notes["annotations"])
    objects["Secret"] = [_of_chart(each) for each in copy.deepcopy(base.objects["Secret"])]
    return objects


def _is_acp(found: Object) -> bool:
    return found["metadata"]["name"] == "acp" and found["metadata"].get("namespace") == ACP


def _key(found: Object) -> tuple[str, str, str]:
    return found["kind"], *_place(found)


def _place(found: Object) -> tuple[str, str]:
    meta = found["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _of_chart(secret: Object) -> Object:
    """No system secret, no keys, Helm's label; and the published certificate with its key."""
    data = secret["data"]
    if secret["metadata"]["name"] == "acp-secret":
        content = yaml.safe_load(data["config.yaml"])
        kept = {key: content[key] for key in content if key not in ("system", "secrets")}
        data["config.yaml"] = yaml.safe_dump(kept)
        secret["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
    if secret["metadata"]["name"] == "acp-tls":
        key = secret_value(Sealer(), "tls.key", PUBLISHED_PAIR[1].read_bytes())
        data |= {"tls.crt": MOCK.read_text(), "tls.key": key}
    return secret


# answers and probes


def _settings(main: Object) -> Settings:
    """What the stand-in understands of the arguments that the overlay gives it."""
    args = main["spec"]["template"]["spec"]["containers"][0]["args"]
    names = ("metrics", "demo", "dev", "swagger", "create_default_tenant",
             "create_default_workspaces")  # fmt: skip
    flags = Flags(**{name: f"--{name.replace('_', '-')}" in args for name in names})
    return build([], {}, {"server": {"url": BASE}}, flags)


def _answers(settings: Settings) -> dict[str, Answer]:
    """Lists of the management API over the records of a first start."""
    records = {_identity(each): each for each in [*system_objects(), *default_objects(settings)]}
    every = list(records.values())
    made: dict[str, Any] = {"/api/system/tenants": {"tenants": _shown(every, Tenant)}}
    for tenant in (each for each in every if isinstance(each, Tenant)):
        mine = [r for r in every if getattr(r, "tenant_id", "") == tenant.id]
        made[f"/api/admin/{tenant.id}/servers"] = {"servers": _shown(mine, Server)}
        for server in (each for each in mine if isinstance(each, Server)):
            here = [r for r in mine if getattr(r, "server_id", "") == server.id]
            base = f"/api/admin/{tenant.id}/servers/{server.id}"
            made[f"{base}/idps"] = {"idps": _shown(here, Idp)}
            made[f"{base}/clients"] = {"clients": _shown(here, Client)}
    told = dict(settings.features) | {"insecure_disable_csrf": False, "debug": False}
    told["version"] = "2.25.0"
    for path in ("/default/default", "/api/admin/default", "/api/admin/system"):
        made[f"{path}/environment"] = told
    made["/default/default/.well-known/openid-configuration"] = {"issuer": f"{BASE}/default"}
    return {path: Answer(status=200, body=body) for path, body in made.items()}


def _identity(record: Record) -> tuple[str, ...]:
    names = ("tenant_id", "server_id", "idp_id", "id")
    return type(record).__name__, *(getattr(record, name, "") for name in names)


def _shown(records: list[Record], kind: type[Any]) -> list[Object]:
    found = [msgspec.to_builtins(each) for each in records if isinstance(each, kind)]
    return [{key: each[key] for key in each if key != "secret"} for each in found]


def _probes(base: Snapshot) -> dict[str, Probe]:
    """Nothing is in the way of anybody, and the built-in passwords and secret open."""
    made = {
        f"login default/{wid} {user}": "accepted" if USERS[wid] == user else "refused"
        for wid in USERS
        for user in USERS.values()
    }
    for name, probe in base.probes.items():
        if name.startswith("login "):
            continue
        through = name.startswith(("foreign ", "acp egress ")) and "metadata" not in name
        opened = through or name == "secret built-in-secret"
        word = "accepted" if name.startswith("secret ") else "open"
        made[name] = word if opened else probe.outcome
    return {name: Probe(outcome=outcome) for name, outcome in made.items()}
