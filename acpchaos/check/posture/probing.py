"""Probe outcomes as judgements: what got through, what its control says, what enforces policies.

Room: check. A probe that was blocked proves something only beside a control that was not.
"""

from collections.abc import Iterable
from functools import partial

from acpchaos.check.posture.parts import joined
from acpchaos.check.posture.rule import Finding, Judgement, Unreadable, broken
from acpchaos.check.posture.view import View
from acpchaos.record.snapshot import CONTROL, DENY


def enforcement(view: View) -> Judgement:
    """A finding when probes showed that the network ignores policies, else an empty judgement.

    Every row that rests on policies begins with it: a policy that nothing enforces is paper.
    """
    probes = view.snapshot.probes
    control, deny = probes.get(CONTROL), probes.get(DENY)
    if control is None or deny is None or (control.outcome, deny.outcome) != ("open", "open"):
        return Judgement()
    finding = Finding(
        object="cluster network", field=f"probe {DENY}",
        saw=f"open {deny.saw}".strip(),
        want="blocked: the network plug-in enforces NetworkPolicy (HARD-47)",
        remedy="install a plug-in that enforces policies: Calico, Cilium, kube-router",
    )  # fmt: skip
    return Judgement(findings=(finding,), read=(f"probe {DENY}",))


def blocked(view: View, names: Iterable[str], want: str, remedy: str) -> Judgement:
    """A finding for every probe of these that got through. One that was not run, or proved nothing,
    hides none of them; without any it is Unreadable."""
    return joined([partial(_blocked, view, name, want, remedy) for name in names])


def _blocked(view: View, name: str, want: str, remedy: str) -> Judgement:
    probe, read = view.probe(name), (f"probe {name}",)
    if probe.outcome == "blocked":
        return Judgement(read=read)
    found = broken(f"probe {name}", "outcome", str(probe), want, remedy)
    return Judgement(findings=(found,), read=read)


def control_open(view: View, name: str) -> Judgement:
    """The control of a set of probes; Unreadable when it did not get through itself."""
    found = view.probe(name)
    if found.outcome != "open":
        raise Unreadable(f"the control probe {name} is {found}, so a blocked one proves nothing")
    return Judgement(read=(f"probe {name}",))
