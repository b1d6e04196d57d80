"""R10: selectors, profiles and experiment arguments that nobody would write; whatever they say,
nothing outside of the allow-list is changed, and each refusal tells its reason."""

import math
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_api import scene
from fake_api.server import FakeApi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acpchaos.errors import AcpchaosError, GuardRefused
from acpchaos.faults import pods, zone_drain
from acpchaos.faults.session import Session, standing_in
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.record.journal import Journal
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import Lock
from acpchaos.target.profile import Profile, load_profile
from safety import target
from safety.crash_points import RUN
from safety.rows import Tell
from safety.rows import silent as quiet

NS = f"/api/v1/namespaces/{scene.NAMESPACE}"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{scene.NAMESPACE}/leases"
OWN = (
    rf"(POST|PUT|DELETE) {LEASES}(/acpchaos)?",
    rf"(POST {NS}/configmaps|(PATCH|DELETE) {NS}/configmaps/acpchaos-undo-{RUN})",
)  # fmt: skip
TEXT = st.text(alphabet="abz=!,() -./\n*", max_size=24)
TERM = st.sampled_from(
    ["a=b", "a==b", "a!=b", "!a", "a", "a in (b)", "a notin (b)", "a in (b,c=d)", "", " ", "a="]
)
NUMBER = st.one_of(
    st.integers(-3, 12), st.floats(allow_nan=True), st.sampled_from(["", "2", "x", None, True])
)


@dataclass
class Fuzzed:
    """What all examples came to."""

    tell: Tell = quiet
    examples: int = 0
    refused: int = 0
    outside: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)  # refusals that do not say why

    def another(self) -> None:
        """One more example."""
        self.examples += 1
        self.tell(self.examples)


def run(selectors: int, targets: int, tell: Tell = quiet) -> Fuzzed:
    """So many selectors; a tenth as many profiles without a cluster, and `targets` each of targets
    and experiment arguments on the fake API server."""
    seen = Fuzzed(tell)
    _examples(selectors, _selector(seen), st.one_of(TEXT, st.lists(TERM, max_size=4).map(",".join)))
    api = FakeApi()
    try:
        with tempfile.TemporaryDirectory() as folder, target.impatient(0.002):
            place = Path(folder)
            _examples(selectors // 10, _profile_file(seen, place), PROFILE)
            _examples(targets, _target(seen, api, place), PINS)
            _examples(targets, _arguments(seen, api, place), ARGUMENTS)
    finally:
        api.close()
    return seen


def _examples(count: int, check: Callable[[Any], None], strategy: st.SearchStrategy[Any]) -> None:
    quick = settings(
        max_examples=max(1, count), deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    quick(given(strategy)(check))()


def _refusal(seen: Fuzzed, error: AcpchaosError) -> None:
    seen.refused += 1
    if not (error.attempted.strip() and error.seen.strip() and error.next_step.strip()):
        seen.silent.append(str(error))


def _selector(seen: Fuzzed) -> Callable[[str], None]:
    def check(selector: str) -> None:
        seen.another()
        try:
            guard.require_selector(selector)
        except GuardRefused as error:
            _refusal(seen, error)
            return
        if matches_unlabelled(selector):
            seen.outside.append(f"selector {selector!r} was let through")

    return check


def matches_unlabelled(selector: str) -> bool:
    """Whether an object without labels is selected: only if every term says what must not be."""
    terms = [term.strip() for term in re.findall(r"(?:[^,(]|\([^)]*\)?)+", selector)]
    return all(
        term.startswith("!") or "!=" in term or re.search(r"\snotin\s", term) is not None
        for term in terms
    )


PROFILE = st.fixed_dictionaries(
    {
        "cluster": st.dictionaries(
            st.sampled_from(["context", "api_host", "kube_system_uid", "typo"]), TEXT
        ),
        "namespaces": st.dictionaries(st.sampled_from(["acp", "deny", "typo"]), TEXT),
        "experiments": st.dictionaries(
            st.sampled_from(["may_disrupt", "zones", "typo"]), st.one_of(TEXT, st.booleans())
        ),
    }
)


def _profile_file(seen: Fuzzed, folder: Path) -> Callable[[dict[str, dict[str, Any]]], None]:
    """A file is read or refused, never half of each; one without pins never passes the guard."""

    def check(content: dict[str, dict[str, Any]]) -> None:
        seen.another()
        path = folder / "fuzzed.toml"
        lines = ["[service]", 'base_url = "https://a"']
        for section, keys in content.items():
            lines += [f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in keys.items())]
        path.write_text("\n".join(lines))
        try:
            profile = load_profile(path)
        except AcpchaosError as error:
            _refusal(seen, error)
            return
        if "typo" in str(content):
            seen.outside.append(f"an unknown key was let through: {content}")
        findings = guard.inspect(_Nowhere(), profile)  # type: ignore[arg-type]
        if all(finding.ok for finding in findings):
            seen.outside.append(f"a guard without pins was passed: {content}")

    return check


class _Nowhere:
    """A cluster that no pin can name, and that must not be asked."""

    api_host = "nowhere:1"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return '"' + "".join(f"\\u{ord(char):04x}" for char in str(value)) + '"'


PINS = st.fixed_dictionaries(
    {
        "uid": st.sampled_from([scene.KUBE_SYSTEM_UID] * 3 + ["", "other"]),
        "host": st.sampled_from(["right"] * 3 + ["", "elsewhere:1", "prod.example.test"]),
        "opted_in": st.sampled_from([True, True, False]),
        "nodes": st.lists(st.sampled_from(list(scene.NODES)), unique=True),
        "may": st.lists(st.sampled_from(["acp", "nodes", "redis"]), unique=True),
        "fault": st.sampled_from(["kill", "drain"]),
        "zone": st.sampled_from(["", *scene.NODES.values(), "nowhere"]),
    }
)


def _target(seen: Fuzzed, api: FakeApi, folder: Path) -> Callable[[dict[str, Any]], None]:
    """Pins, opt-in labels and consent at random: changes only where all of them agree."""

    def check(given: dict[str, Any]) -> None:
        seen.another()
        target.fresh(api)
        host = api.host if given["host"] == "right" else given["host"]
        profile = load_profile(scene.write_profile(api, folder, uid=given["uid"], host=host))
        experiments = profile.experiments.model_copy(update={"may_disrupt": tuple(given["may"])})
        profile = profile.model_copy(update={"experiments": experiments})
        with api.store.lock:
            if not given["opted_in"]:
                api.store.get(("namespaces", "", scene.NAMESPACE))["metadata"]["labels"].clear()
            for name in scene.NODES.keys() - set(given["nodes"]):
                labels = api.store.get(("nodes", "", name))["metadata"]["labels"]
                labels.pop("acpchaos.io/allowed")
        right = given["uid"] == scene.KUBE_SYSTEM_UID and host == api.host and given["opted_in"]
        allowed: list[str] = []
        if right and given["nodes"]:
            allowed += OWN
            if given["fault"] == "kill" and "acp" in given["may"]:
                allowed.append(rf"DELETE {NS}/pods/acp-\d+")
            if given["fault"] == "drain" and "nodes" in given["may"]:
                allowed += [f"PATCH /api/v1/nodes/{name}" for name in given["nodes"]]
                allowed.append(rf"POST {NS}/pods/[\w-]+/eviction")
        if given["fault"] == "kill":
            arguments: dict[str, Any] = {"count": 1, "recover_s": 5.0}
        else:
            arguments = {
                "zone": given["zone"], "deadline_s": 2.0, "stuck_s": 0.02, "recover_s": 5.0,
            }  # fmt: skip
        _act(seen, api, profile, given["fault"], arguments, allowed)

    return check


ARGUMENTS = st.fixed_dictionaries(
    {
        "workload": st.sampled_from(["acp", "workers", "redis", "cluster", "", "name"]),
        "count": NUMBER,
        "share": NUMBER,
        "grace_s": st.sampled_from([0, 0, 1, "x"]),
        "seed": NUMBER,
    }
)


def _arguments(seen: Fuzzed, api: FakeApi, folder: Path) -> Callable[[dict[str, Any]], None]:
    """Arguments of an experiment file: pods of the workload that was named, or none."""

    def check(arguments: dict[str, Any]) -> None:
        seen.another()
        target.fresh(api)
        profile = load_profile(scene.write_profile(api, folder))
        name = {"acp": r"acp-\d+", "workers": r"acp-workers-\d+"}.get(arguments["workload"])
        allowed = [*OWN, *([rf"DELETE {NS}/pods/{name}"] if name else [])]
        _act(seen, api, profile, "kill", arguments | {"recover_s": 5.0}, allowed)

    return check


def _act(
    seen: Fuzzed, api: FakeApi, profile: Profile, fault: str, arguments: dict[str, Any],
    allowed: list[str],
) -> None:  # fmt: skip
    cluster = Cluster.from_profile(profile)
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "j") as journal:
        undo = UndoLog(cluster, scene.NAMESPACE, RUN, journal, Clock())
        session = Session(profile, cluster, RUN, journal, Clock(), undo)
        try:
            guard.require(cluster, profile)
            with standing_in(session), Lock(cluster, scene.NAMESPACE, RUN):
                (pods.kill if fault == "kill" else zone_drain.drain)(**arguments)
                undo.revert_all()
        except AcpchaosError as error:
            _refusal(seen, error)
        except (TypeError, ValueError, OverflowError, AttributeError, KeyError) as error:
            seen.refused += 1  # arguments of a wrong type; Chaos Toolkit tells the exception
            if not str(error):
                seen.silent.append(repr(error))
    made = [call for call in target.changes(api) if not any(re.fullmatch(p, call) for p in allowed)]
    seen.outside += [f"{fault} {arguments}: {call}" for call in made]
    share = arguments.get("share")
    if isinstance(share, float) and math.isnan(share) and made:
        seen.outside.append("a share that is no number chose pods")
