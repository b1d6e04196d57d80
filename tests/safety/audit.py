"""The API server's audit log of the lab: what an account called, and what it needed for that."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from acpchaos.faults.engine import Engine
from acpchaos.faults.fault import Need
from acpchaos.record.mutations import read_chain
from acpchaos.target.cluster import Cluster
from acpchaos.target.kinds import KINDS

METHODS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
_KIND_OF = {(kind.api, kind.plural): name for name, kind in KINDS.items()}
# the journal's methods that are no request of one verb: commands in pods, and the engine's
_ELSEWHERE = ("EXEC", "ENGINE")
_QUESTIONS = "selfsubjectaccessreviews"  # change nothing, and everybody may ask them

Event = dict[str, Any]


def read(cluster: Cluster, account: str, since: str) -> list[Event]:
    """Calls of service account `namespace:name` that were received from `since` on (RFC 3339, UTC),
    from all control-plane nodes, each once."""
    engine, lines = Engine(cluster), list[str]()
    for node in cluster.list("Node", selector="node-role.kubernetes.io/control-plane"):
        name = engine.container_of(node["metadata"]["name"])
        script = f"grep -h 'system:serviceaccount:{account}\"' /var/log/kubernetes/audit*.log || :"
        lines += engine.inside(engine.look(name).name, script).splitlines()
    return events(lines, account, since)


def events(lines: Iterable[str], account: str, since: str) -> list[Event]:
    """The same of lines of such logs; a torn last line is left out."""
    seen: dict[str, Event] = {}
    for line in lines:
        try:
            event: Event = json.loads(line)
        except ValueError:
            continue
        mine = event["user"]["username"] == f"system:serviceaccount:{account}"
        if mine and event["requestReceivedTimestamp"] >= since:
            seen.setdefault(event["auditID"], event)
    return sorted(seen.values(), key=lambda event: str(event["requestReceivedTimestamp"]))


def changes(log: Iterable[Event]) -> Iterator[str]:
    """Calls that change something, as the journal writes them."""
    for event in log:
        resource = event.get("objectRef", {}).get("resource", "")
        if event["verb"] in METHODS and resource != _QUESTIONS and not _is_exec(event):
            yield f"{METHODS[event['verb']]} {event['requestURI'].partition('?')[0]}"


def _is_exec(event: Event) -> bool:
    return bool(event.get("objectRef", {}).get("subresource") in ("exec", "portforward"))


def unmatched(journals: Iterable[Path], log: Iterable[Event]) -> list[str]:
    """R12: journals against the audit log, both ways. A call without an answer may be in it."""
    sure: Counter[str] = Counter()
    maybe: Counter[str] = Counter()
    for path in journals:
        chain = read_chain(path)
        answered = {line.entry for line in chain.lines if line.state == "outcome" and line.status}
        for line in chain.calls:
            if line.method not in _ELSEWHERE:
                (sure if line.n in answered else maybe)[f"{line.method} {line.path}"] += 1
    logged = Counter(changes(log))
    faults = [f"not in the audit log: {call} ({n} times)" for call, n in (sure - logged).items()]
    extra = logged - sure - maybe
    return faults + [f"not in the journal: {call} ({n} times)" for call, n in extra.items()]


def used(log: Iterable[Event]) -> set[Need]:
    """One right per call, as narrow as the call was; refused calls count, too."""
    rights: set[Need] = set()
    for event in log:
        found = event.get("objectRef") or {}
        if not found or found["resource"] == _QUESTIONS:
            continue  # /readyz and discovery are everybody's
        group, version = found.get("apiGroup", ""), found.get("apiVersion", "v1")
        api = f"apis/{group}/{version}" if group else f"api/{version}"
        kind = _KIND_OF.get((api, found["resource"]), found["resource"])
        space = "" if kind == "Namespace" else found.get("namespace", "")
        right = Need(
            event["verb"], kind, space, found.get("subresource", ""), found.get("name", "")
        )
        rights.add(right)
        if right.sub == "exec":  # one request, and both verbs are asked for
            rights |= {right._replace(verb=verb) for verb in ("get", "create")}
    return rights


def refused(log: Iterable[Event]) -> list[str]:
    """Calls that the account was not allowed."""
    return [
        f"{event['verb']} {event['requestURI'].partition('?')[0]}"
        for event in log
        if event.get("responseStatus", {}).get("code") == 403
    ]
