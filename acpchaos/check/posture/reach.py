"""Who and what the peers of a NetworkPolicy are in this cluster, and how a bad one is reported.

Room: check. It joins netpol, which knows no cluster, with the evidence; which peers are good is
for the rules to say.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from acpchaos.check.posture import cilium
from acpchaos.check.posture.netpol import (
    NAME_LABEL,
    Allow,
    Direction,
    Peer,
    Policy,
    Port,
    policy_of,
    rules_for,
    selecting,
)
from acpchaos.check.posture.overriding import deciding, namespace_labels
from acpchaos.check.posture.parts import joined
from acpchaos.check.posture.rule import Finding, Judgement, Unreadable
from acpchaos.check.posture.view import Pods, View, pods_of, selects
from acpchaos.record.snapshot import Object

EVERY = "*"
DNS_NAMESPACES = {"kube-system", "openshift-dns"}
DNS_RULE: Object = {
    "to": [{
        "namespaceSelector": {"matchLabels": {NAME_LABEL: "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}  # fmt: skip
_DNS_PORTS: set[int | str] = {53, 5353, "dns", "dns-tcp"}
_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
_JOB_LABELS = ("job-name", "batch.kubernetes.io/job-name")  # Kubernetes adds them to a Job's pods


class Reach:
    """Questions about the policies of one snapshot."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._policies: dict[str, list[Policy]] = {}
        self._workloads: dict[str, list[Pods]] = {}

    def policies(self, namespace: str) -> list[Policy]:
        """Policies of a namespace; Unreadable when they were not gathered."""
        if namespace not in self._policies:
            found = self._view.objects("NetworkPolicy", namespace)
            own = [policy_of(each) for each in found]
            self._policies[namespace] = [*own, *self._of_cilium(namespace)]
        return self._policies[namespace]

    def _of_cilium(self, namespace: str) -> list[Policy]:
        """Those of Cilium's policies that can be read; `understood` tells of the others."""
        found: list[Policy] = []
        for kind in cilium.KINDS:
            for each in self._view.partly(kind):
                labels = namespace_labels(self._view, namespace)
                with suppress(*cilium.UNREAD):
                    found += cilium.policies_of(kind, each, namespace, labels)
        return found

    def understood(self, pods: Pods, direction: Direction) -> Judgement:
        """No finding; Unreadable when a policy of another maker may decide over these pods."""
        isolated = self.rules(pods, direction) is not None
        if found := deciding(self._view, pods, direction, isolated=isolated):
            names = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if found[3:] else "")
            raise Unreadable(f"{names} may decide over {pods}, and is not understood")
        return Judgement()

    def selecting(self, pods: Pods) -> list[Policy]:
        """Policies that select a workload's pods."""
        return selecting(self.policies(pods.namespace), pods.namespace, labels_of(pods))

    def rules(self, pods: Pods, direction: Direction) -> list[Allow] | None:
        """Rules for a workload's pods, None when they are not isolated in this direction."""
        every = self.policies(pods.namespace)
        return rules_for(every, pods.namespace, labels_of(pods), direction)

    def judged(
        self, pods: Pods, direction: Direction, allow: list[Object],
        bad: Callable[[Allow, Peer | None], str], want: str, remedy: str,
    ) -> Judgement:  # fmt: skip
        """Every peer of every rule for a workload's pods, asked by `bad` what is wrong with it; a
        rule without peers is asked with None. Pods that nothing isolates are the finding, and
        `allow` is what their policy should hold."""
        rules = self.rules(pods, direction)
        if rules is None:
            self.understood(pods, direction)
            return exposed(pods, direction, allow)
        peers = partial(_each_peer, pods, rules, bad, want, remedy)
        return joined([peers, partial(self.understood, pods, direction)])

    def namespaces(self, peer: Peer) -> set[str]:
        """Names of the namespaces that a peer's selector takes, EVERY for all that there may be;
        none for an address block."""
        if peer.block is not None:
            return set()
        if peer.namespaces is None:
            return {peer.home}
        if pinned := _pinned(peer.namespaces):
            return pinned
        if not any(peer.namespaces.values()):
            return {EVERY}
        found = {}
        for each in self._view.objects("Namespace"):
            name = str(each["metadata"]["name"])
            found[name] = {NAME_LABEL: name, **(each["metadata"].get("labels") or {})}
        return {name for name, labels in found.items() if selects(peer.namespaces, labels)}

    def workloads(self, namespace: str, peer: Peer) -> list[Pods]:
        """Workloads and single pods of a namespace that a peer's pod selector takes."""
        if namespace not in self._workloads:
            self._workloads[namespace] = self._every(namespace)
        every = self._workloads[namespace]
        return [p for p in every if peer.pods is None or selects(peer.pods, labels_of(p))]

    def _every(self, namespace: str) -> list[Pods]:
        view = self._view
        every = [pods_of(k, each, "") for k in _KINDS for each in view.objects(k, namespace)]
        if view.snapshot.source == "live":
            every += [
                pods_of("Pod", each, "")
                for each in view.objects("Pod", namespace)
                if not each["metadata"].get("ownerReferences")
            ]
        return every


def _pinned(selector: Object) -> set[str]:
    """Namespaces that a selector names one by one; empty when it selects by other labels."""
    labels = selector.get("matchLabels") or {}
    if NAME_LABEL in labels:
        return {str(labels[NAME_LABEL])}
    for each in selector.get("matchExpressions") or []:
        if each.get("key") == NAME_LABEL and each.get("operator") == "In":
            return {str(value) for value in each.get("values") or []}
    return set()


def labels_of(pods: Pods) -> dict[str, str]:
    """Labels of a workload's pods, those that Kubernetes adds to a Job's pods included."""
    extra = dict.fromkeys(_JOB_LABELS, pods.name) if pods.kind == "Job" else {}
    return {**extra, **pods.labels}


def only(ports: Iterable[Port] | None, wanted: set[int | str]) -> bool:
    """Are all ports of a rule among the wanted ones? A rule without ports opens all of them."""
    return ports is not None and all(
        port.first in wanted and port.last in (None, port.first) for port in ports
    )


def only_dns(allow: Allow) -> bool:
    """Does a rule open nothing but name resolution?"""
    return only(allow.ports, _DNS_PORTS)


def _each_peer(
    pods: Pods,
    rules: list[Allow],
    bad: Callable[[Allow, Peer | None], str],
    want: str,
    remedy: str,
) -> Judgement:
    def one(allow: Allow, peer: Peer | None) -> Judgement:
        saw = bad(allow, peer)
        place = peer.field if peer else allow.field
        finding = Finding(object=allow.policy, field=place, saw=saw, want=want, remedy=remedy)
        read = (str(pods), f"{allow.policy} {allow.field}")
        return Judgement(findings=(finding,) if saw else (), read=read)

    pairs = [(allow, peer) for allow in rules for peer in allow.peers or (None,)]
    if not pairs:
        return Judgement(read=(f"{pods}: its policies allow nothing",))
    return joined(lambda pair=pair: one(*pair) for pair in pairs)  # type: ignore[misc]


def exposed(pods: Pods, direction: Direction, rules: list[Object]) -> Judgement:
    """The finding on pods that no policy isolates in a direction; `rules` is what to allow."""
    kind = direction.capitalize()
    spec: Object = {"podSelector": {"matchLabels": labels_of(pods)}, "policyTypes": [kind]}
    policy: Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"{pods.name}-{direction}", "namespace": pods.namespace},
        "spec": {**spec, direction: rules},
    }
    finding = Finding(
        object=str(pods),
        field=f"{pods.path.removesuffix('spec')}metadata.labels",
        saw=f"selected by no NetworkPolicy of type {kind}",
        want=f"isolated for {direction}",
        remedy=f"kubectl apply -f - <<< '{json.dumps(policy)}'",
    )
    return Judgement(findings=(finding,), read=(str(pods),))


def from_pods(*sources: Pods) -> list[Object]:
    """Peers that are the pods of these workloads, in the same namespace."""
    return [{"podSelector": {"matchLabels": labels_of(each)}} for each in sources]


def from_namespace(name: str) -> Object:
    """The peer that is every pod of a namespace."""
    return {"namespaceSelector": {"matchLabels": {NAME_LABEL: name}}}
