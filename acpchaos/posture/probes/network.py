"""Network probes: does the network enforce policies, and who reaches what.

Room: posture. A pair of pods in the scratch namespace proves the tool and the enforcement: each
reaches the other before a deny policy and not under it, into the pod and out of it. The same
pair shows how a closed port and how a policy answer here (see `inside`). Then one of the pair, a
foreigner to ACP, tries ACP and the stores; stand-ins for pods of ACP, its workers and functions
(see `scratch`) try what they should and should not reach.
"""

import ipaddress
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from acpchaos.errors import AcpchaosError, DeadlinePassed
from acpchaos.posture.probes import places
from acpchaos.posture.probes.attempts import (
    BLOCKED,
    Attempt,
    Place,
    Source,
    connect,
    judged,
    settled,
    unknown,
)
from acpchaos.posture.probes.outside import Outside
from acpchaos.posture.probes.places import METADATA, Survey
from acpchaos.posture.probes.scratch import (
    PREFIX,
    Scratch,
    forbids_stand_in,
    probe_pod,
    source_of,
    stand_in_labels,
)
from acpchaos.record.snapshot import CONTROL, DENY, Probe
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.profile import Profile
from acpchaos.wait import eventually

LISTENS, CLOSED = 17017, 17018
CONTROL_S = 10.0
DENY_S = 20.0  # an agent that takes longer to enforce a policy leaves a hole of that length
ROLE = "acpchaos.io/role"
STAND_INS = ("acp", "workers", "faas")
OUTSIDE = "faas egress outside"
Questions = Mapping[str, list[Place]]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """What the pair of pods has shown."""

    control: Probe
    deny: Probe
    rejects_by_reset: bool = False
    intercepted: bool = False


def run(
    cluster: Cluster, profile: Profile, scratch: Scratch, say: Callable[[str], None]
) -> dict[str, Probe]:
    """All network probes; what could not be tried is `unknown` and says why."""
    try:
        survey = places.look(cluster, profile)
        node = survey.nodes[0].host if survey.nodes else ""
    except AcpchaosError as error:
        names = (CONTROL, DENY, *(f"foreign acp:{port}" for port in places.ACP_PORTS))
        return dict.fromkeys(names, unknown(error.seen))
    with Outside(profile.probes.outside, node) as outside:
        return _Network(cluster, profile, scratch, survey, outside.places, say).run()


class _Network:
    """One run. Answers of the foreigner serve as reference for those of the stand-ins."""

    def __init__(
        self, cluster: Cluster, profile: Profile, scratch: Scratch, survey: Survey,
        outside: tuple[Place, ...], say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._cluster, self._profile, self._scratch = cluster, profile, scratch
        self._survey, self._outside, self._say = survey, outside, say
        self._running: dict[str, Object] = {}
        self._failed: dict[str, str] = {}
        self._foreign = places.foreign(survey)
        self._acp = places.acp_egress(survey, ()) if survey.pods["acp"] else {}
        self._faas = places.faas_egress(survey, outside) if survey.pods["faas"] else {}

    def run(self) -> dict[str, Probe]:
        names = (CONTROL, DENY, *self._foreign, *self._acp, *self._faas)
        try:
            if why := self._start():
                return dict.fromkeys(names, unknown(why))
            probes = self._ask()
        except AcpchaosError as error:
            return dict.fromkeys(names, unknown(error.seen))
        return {name: probes.get(name, unknown("not reached in this run")) for name in names}

    def _start(self) -> str:
        """Make the pods; why the pair is not there, or an empty string."""
        image = self._survey.image
        if not image.name:
            return "no store of the profile runs here to take an image from: set probes.image"
        pods = {
            role: probe_pod(
                role, self._scratch.namespace, image, ("listen", str(LISTENS)), labels={ROLE: role}
            )
            for role in ("client", "server")
        }
        for role in STAND_INS:
            if models := self._survey.pods[role]:
                home, labels = models[0]["metadata"]["namespace"], stand_in_labels(models[0])
                if why := forbids_stand_in(self._cluster, home, labels):
                    self._failed[role] = f"no stand-in was made: {why}"
                    continue
                name = f"{PREFIX}{role}-{self._scratch.run_id}"
                pods[role] = probe_pod(
                    name, home, image, ("idle",), labels=labels, never_ready=True
                )
        self._running, failed = self._scratch.start(pods)
        self._failed |= failed
        self._say(f"{len(self._running)} of {len(pods)} probe pods run")
        return next((failed[role] for role in ("client", "server") if role in failed), "")

    def _ask(self) -> dict[str, Probe]:
        pair = self._before()
        if pair.intercepted or pair.control.outcome != "open":
            why = "a port where nobody listens looks open: something answers in between"
            seen = unknown(why if pair.intercepted else "the pair of pods reached nothing")
            every = (*self._foreign, *self._acp, *self._faas)
            return {**dict.fromkeys(every, seen), CONTROL: pair.control, DENY: pair.deny}
        aside = [*self._survey.api, *self._survey.nodes, METADATA, *self._outside]
        with ThreadPoolExecutor(4, "probe") as pool:
            seen_foreign = pool.submit(self._rounds, "client", [*_all(self._foreign), *aside])
            pair = self._under_deny(pair)
            reference = seen_foreign.result()
            unlisted = [self._listener("client")]
            unlisted += [p for p in self._outside if reference[p].word == "open"]
            acp = self._acp | ({"acp egress unlisted": unlisted} if self._acp else {})
            faas = self._with_own_node(self._faas)
            asked = {"acp": acp, "workers": acp, "faas": faas}
            rounds = {
                role: pool.submit(self._rounds, role, _all(asked[role]))
                for role in STAND_INS
                if role in self._running
            }
            answers = {role: self._result(role, future) for role, future in rounds.items()}
        probes = {CONTROL: pair.control, DENY: pair.deny}
        probes |= _judge(self._foreign, [reference], pair, {}, works=True)
        inside = [answers[role] for role in ("acp", "workers") if role in answers]
        probes |= self._judge_from(("acp", "workers"), acp, inside, pair, reference)
        probes |= self._judge_from(("faas",), faas, [answers.get("faas", {})], pair, reference)
        return self._doubt_outside(probes, reference)

    def _result(self, role: str, future: Future[dict[Place, Attempt]]) -> dict[Place, Attempt]:
        try:
            return future.result()
        except AcpchaosError as error:
            self._failed[role] = error.seen
            return {}

    def _rounds(self, role: str, tried: list[Place]) -> dict[Place, Attempt]:
        unique = list(dict.fromkeys(tried))
        attempts = settled(lambda: connect(self._cluster, self._source(role), unique))
        return {each.place: msgspec.structs.replace(each, source=role) for each in attempts}

    def _before(self) -> Pair:
        """The pair without a policy; it may take a moment until new pods are on the network."""
        there = self._listener("server")
        closed = Place("closed port of server", there.host, CLOSED)

        def both() -> list[Attempt] | None:
            seen[:] = connect(self._cluster, self._source("client"), [there, closed])
            seen.extend(connect(self._cluster, self._source("server"), [self._listener("client")]))
            return seen if seen[0].word == seen[2].word == "open" else None

        seen: list[Attempt] = []
        try:
            eventually("the pair of pods to reach each other", both, CONTROL_S)
        except DeadlinePassed:
            failed = judged([a for a in seen if a.word != "open"], source_works=False)
            return Pair(control=failed, deny=unknown("without a policy it was not open either"))
        told = f"{seen[0]} from client, {seen[2]} from server; {seen[1]}"
        return Pair(
            control=Probe(outcome="open", saw=told), deny=unknown("not tried"),
            intercepted=seen[1].word == "open",
        )  # fmt: skip

    def _under_deny(self, pair: Pair) -> Pair:
        """The pair once a policy forbids the server both ways: client to server is the way in,
        server to client the way out."""
        self._scratch.create("NetworkPolicy", _deny())

        def both_blocked() -> bool:
            seen[:] = connect(self._cluster, self._source("client"), [self._listener("server")])
            seen.extend(connect(self._cluster, self._source("server"), [self._listener("client")]))
            return all(_kept_out(attempt) for attempt in seen)

        seen: list[Attempt] = []
        try:
            eventually("the deny policy to be enforced", both_blocked, DENY_S, 1.0)
            both_blocked()  # seen twice
        except DeadlinePassed:
            pass  # what was seen last says it
        return Pair(
            control=pair.control, deny=_of_deny(seen),
            rejects_by_reset=any(attempt.word == "refused" for attempt in seen),
        )  # fmt: skip

    def _judge_from(
        self, roles: tuple[str, ...], asked: Questions, answers: list[dict[Place, Attempt]],
        pair: Pair, reference: Mapping[Place, Attempt],
    ) -> dict[str, Probe]:  # fmt: skip
        """Outcomes from stand-ins; a role whose stand-in is missing leaves all of them unknown."""
        if missing := next((self._failed[role] for role in roles if role in self._failed), ""):
            return dict.fromkeys(asked, unknown(missing))
        return _judge(asked, answers, pair, reference)

    def _doubt_outside(
        self, probes: dict[str, Probe], reference: Mapping[Place, Attempt]
    ) -> dict[str, Probe]:
        """Functions kept from an outside place prove a fault only where it had to be reachable."""
        remedy = "set probes.outside to an address that functions may reach"
        if OUTSIDE in probes and not self._outside:
            given = self._profile.probes.outside
            told = (
                f"probes.outside, {given}," if given else "this machine's own address towards nodes"
            )
            probes[OUTSIDE] = unknown(f"{told} is no address that can be had here: {remedy}")
        elif probes.get(OUTSIDE, unknown("")).outcome != "blocked":
            return probes
        elif not any(reference[place].word == "open" for place in self._outside):
            probes[OUTSIDE] = unknown(f"a pod without policy does not reach it either: {remedy}")
        elif not self._profile.probes.outside and _private(self._outside):
            told = f"{self._outside[0]} is a private address, which may be refused: {remedy}"
            probes[OUTSIDE] = unknown(told)
        return probes

    def _with_own_node(self, asked: Questions) -> dict[str, list[Place]]:
        """Functions also try the node that they are on: some agents never filter that way."""
        if "faas" not in self._running:
            return dict(asked)
        pod = self._running["faas"]
        address, name = pod["status"].get("hostIP", ""), pod["spec"].get("nodeName", "")
        own = [Place(f"own node {name}", address, places.KUBELET_PORT)] if address else []
        others = [p for p in asked["faas egress node"] if p.host != address]
        return {**asked, "faas egress node": [*own, *others]}

    def _source(self, role: str) -> Source:
        return source_of(self._running[role])

    def _listener(self, role: str) -> Place:
        pod = self._running[role]
        node = pod["spec"].get("nodeName", "")
        return Place(f"{role} on {node}", pod["status"]["podIP"], LISTENS)


def _judge(
    asked: Questions, answers: list[dict[Place, Attempt]], pair: Pair,
    reference: Mapping[Place, Attempt], *, works: bool = False,
) -> dict[str, Probe]:  # fmt: skip
    """One outcome per question over all pods that asked; each must have reached something."""
    works = works or all(any(a.word == "open" for a in each.values()) for each in answers)
    probes = {}
    for name, tried in asked.items():
        probe = judged(
            [each[place] for each in answers for place in tried if place in each],
            source_works=works, rejects_by_reset=pair.rejects_by_reset,
            may_be_absent=METADATA in tried,
        )  # fmt: skip
        known = [reference[place] for place in tried if place in reference]
        if probe.outcome == "blocked" and known and all(a.word != "open" for a in known):
            said = f"{probe.saw}; a pod without policy does not reach it either"
            probe = Probe(outcome="blocked", saw=said)
        probes[name] = probe
    return probes


def _of_deny(seen: list[Attempt]) -> Probe:
    """The listeners were open before, so even `refused` is the policy's doing."""
    told = ", ".join(map(str, seen))
    if any(attempt.word == "open" for attempt in seen):
        return Probe(outcome="open", saw=told)
    if seen and all(_kept_out(attempt) for attempt in seen):
        return Probe(outcome="blocked", saw=told)
    return unknown(told)


def _kept_out(attempt: Attempt) -> bool:
    return attempt.word in BLOCKED | {"refused"}


def _deny() -> Object:
    """Nothing in and nothing out for the server."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny"},
        "spec": {
            "podSelector": {"matchLabels": {ROLE: "server"}},
            "policyTypes": ["Ingress", "Egress"],
        },
    }


def _all(asked: Questions) -> list[Place]:
    return [place for tried in asked.values() for place in tried]


def _private(outside: tuple[Place, ...]) -> bool:
    return all(ipaddress.ip_address(place.host).is_private for place in outside)
