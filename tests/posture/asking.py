"""One row asked of one snapshot, and small changes to snapshots."""

from typing import Any

import msgspec

from acpchaos.check.posture.rule import Finding, NotHere, Unattested, Unreadable, verdict_of
from acpchaos.check.posture.rules import rules
from acpchaos.check.posture.view import View
from acpchaos.check.verdict import Outcome, Verdict
from acpchaos.record.snapshot import Answer, Object, Probe, Served, Snapshot

ACP = "acp-system"


def asked(snapshot: Snapshot, row: str) -> tuple[Verdict, tuple[Finding, ...]]:
    """Verdict and findings of one row; a crash of its rule is a crash of the test."""
    try:
        found = rules()[row].judge(View(snapshot))
    except Unattested as lack:
        return verdict_of([lack.finding], [row]), (lack.finding,)
    except Unreadable as reason:
        return Verdict(outcome=Outcome.INCONCLUSIVE, why=str(reason)), ()
    except NotHere as reason:
        return Verdict(outcome=Outcome.NOT_APPLICABLE, why=str(reason)), ()
    return verdict_of(found.findings, found.read), found.findings


def passes(snapshot: Snapshot, row: str) -> None:
    verdict, findings = asked(snapshot, row)
    assert verdict.outcome is Outcome.PASSED, f"{verdict.why} {findings}"


def fails(snapshot: Snapshot, row: str, where: str, field: str, saw: str = "") -> Finding:
    """The row failed with exactly one finding, there, with this in what was seen."""
    verdict, findings = asked(snapshot, row)
    assert verdict.outcome is Outcome.FAILED, verdict.why
    places = [(each.object, each.field) for each in findings]
    assert places == [(where, field)], findings
    assert saw in findings[0].saw
    assert findings[0].want and findings[0].remedy
    return findings[0]


def fails_among(snapshot: Snapshot, row: str, where: str, field: str, saw: str = "") -> None:
    """The row failed, and this is one of its findings."""
    verdict, findings = asked(snapshot, row)
    assert verdict.outcome is Outcome.FAILED, verdict.why
    here = [each for each in findings if (each.object, each.field) == (where, field)]
    assert here, findings
    assert saw in here[0].saw


def undecided(snapshot: Snapshot, row: str, why: str) -> None:
    verdict, _ = asked(snapshot, row)
    assert verdict.outcome is Outcome.INCONCLUSIVE, verdict.why
    assert why in verdict.why


def not_here(snapshot: Snapshot, row: str, why: str) -> None:
    verdict, _ = asked(snapshot, row)
    assert verdict.outcome is Outcome.NOT_APPLICABLE, verdict.why
    assert why in verdict.why


# changes; each works on the snapshot's own lists and mappings


def named(snapshot: Snapshot, kind: str, name: str, namespace: str = ACP) -> Object:
    """One object, to be changed in place."""
    return next(
        each
        for each in snapshot.objects[kind]
        if each["metadata"]["name"] == name
        and each["metadata"].get("namespace", namespace) == namespace
    )


def without(snapshot: Snapshot, kind: str, name: str, namespace: str = ACP) -> None:
    snapshot.objects[kind].remove(named(snapshot, kind, name, namespace))


def unread(snapshot: Snapshot, kind: str, why: str = "forbidden") -> None:
    """As when this kind could not be listed."""
    snapshot.objects.pop(kind, None)
    snapshot.unread[kind] = why


def probed(snapshot: Snapshot, name: str, outcome: str, saw: str = "") -> None:
    snapshot.probes[name] = Probe(outcome=outcome, saw=saw)


def answered(snapshot: Snapshot, path: str, body: Any = None, status: int = 200) -> None:
    snapshot.answers[path] = Answer(status=status, body=body)


def served(snapshot: Snapshot, where: str, chain: tuple[str, ...], verified: str = "") -> None:
    """Another chain at each place whose name begins so."""
    hits = [at for at, each in enumerate(snapshot.served) if each.where.startswith(where)]
    assert hits
    for at in hits:
        place = snapshot.served[at].where
        snapshot.served[at] = Served(where=place, chain=chain, verified=verified)


def unserved(snapshot: Snapshot, where: str) -> None:
    """No certificate at places whose name begins so."""
    snapshot.served[:] = [each for each in snapshot.served if not each.where.startswith(where)]


def with_policy(snapshot: Snapshot, **values: Any) -> Snapshot:
    """The snapshot under another policy."""
    policy = msgspec.structs.replace(snapshot.scope.policy, **values)
    return replaced(snapshot, scope=msgspec.structs.replace(snapshot.scope, policy=policy))


def replaced(snapshot: Snapshot, **values: Any) -> Snapshot:
    """A snapshot with other fields; its lists and mappings stay shared."""
    return msgspec.structs.replace(snapshot, **values)


def policy(snapshot: Snapshot, name: str = "acp") -> Any:
    """The specification of a NetworkPolicy of ACP's namespace."""
    return named(snapshot, "NetworkPolicy", name)["spec"]


def into(namespace: str) -> Object:
    """A peer: every pod of a namespace."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}


def block(cidr: str, *holes: str) -> Object:
    """A peer: a range of addresses."""
    return {"ipBlock": {"cidr": cidr, **({"except": list(holes)} if holes else {})}}
