"""Every fault of the catalogue once on the lab: bitten, seen, undone, timed. `make faults-lab`.

Each runs alone as its experiment file, under the same guard as a play, without load; words of the
command line choose some. What was seen goes to docs/faults-played.toml at once, from which `make
docs` fills the page. Never played on anything but the lab; the first target left changed ends it.
"""

import datetime as dt
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from acpchaos.errors import AcpchaosError, UsageError
from acpchaos.faults import catalogue_docs, toolkit
from acpchaos.faults.catalogue import ENTRIES, Entry
from acpchaos.faults.catalogue_docs import Played
from acpchaos.record.events import Fault, Undo, Witness
from acpchaos.record.journal import read_journal
from acpchaos.record.run import checkout_state
from acpchaos.report.progress import Progress
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import PROJECT, Profile, load_profile

LIMIT_S = 600.0
NEEDS_LOAD = ("load_surge",)  # played by suites/test_autoscaling.py, which brings the load


class Look(NamedTuple):
    """A played experiment, and why it does not count; empty where it does."""

    played: Played
    wrong: str


def look(folder: Path, name: str, settings: str) -> Look:
    """What the record of one experiment shows."""
    events = read_journal(folder / "events" / "chaos.ndjson").events
    verbs = {e.verb: e for e in events if isinstance(e, Fault) and e.fault == name}
    witnesses = [e for e in events if isinstance(e, Witness) and e.fault == name]
    undone = {e.change: e.state for e in events if isinstance(e, Undo)}

    def after_s(verb: str, since: str) -> float:
        if verb not in verbs or since not in verbs:
            return 0.0
        return (verbs[verb].t_ns - verbs[since].t_ns) / 1e9

    played = Played(
        fault=name, settings=settings, witness=witnesses[-1].outcome if witnesses else "none",
        saw=witnesses[-1].saw if witnesses else "",
        bit_s=round(after_s("effective", "setup"), 1),
        whole_s=round(after_s("cleanup", "effective"), 1),
    )  # fmt: skip
    return Look(played, "; ".join(_wrong(verbs, witnesses, undone)))


def _wrong(
    verbs: dict[str, Fault], witnesses: list[Witness], undone: dict[str, str]
) -> Iterator[str]:
    if "cleanup" not in verbs:
        yield f"ended after {', '.join(verbs) or 'nothing'}"
    yield from (
        f"{verb} failed: {event.detail.get('error', '')}"
        for verb, event in verbs.items()
        if not event.ok
    )
    if not witnesses:
        yield "no witness"
    yield from (f"{each.outcome}: {each.saw}" for each in witnesses if each.outcome != "installed")
    yield from (f"{what}: {state}" for what, state in undone.items() if state != "verified")


def play(entry: Entry, name: str, target: str) -> Look:
    """Play one entry in a folder that is thrown away."""
    profile = load_profile(target)
    settings: dict[str, Any] = yaml.safe_load(entry.settings or "{}")
    with tempfile.TemporaryDirectory(prefix="acpchaos-") as folder:
        run_dir = Path(folder) / f"{dt.datetime.now(dt.UTC):%Y%m%dt%H%M%S}-{name.replace('_', '-')}"
        run_dir.mkdir()
        ended = toolkit.run(
            PROJECT / "experiments" / entry.experiment, run_dir, profile, settings,
            target=target, deadline_s=LIMIT_S,
        )  # fmt: skip
        if ended.dirty:
            raise UsageError(f"go on after {name}", ended.dirty, "acpchaos undo")
        if not (run_dir / "events" / "chaos.ndjson").exists():
            return Look(Played(name, entry.settings, "none", "", 0.0, 0.0), ended.why)
        seen = look(run_dir, name, entry.settings)
        return seen if ended.conclusive or seen.wrong else seen._replace(wrong=ended.why)


def unsuited(entry: Entry, profile: Profile) -> str:
    """Why a fault does not apply to this target at all; empty where it does, or is only refused."""
    with tempfile.TemporaryDirectory() as folder:
        session = replace(
            catalogue_docs.nowhere(Path(folder)), profile=profile,
            cluster=Cluster.from_profile(profile),
        )  # fmt: skip
        reason = entry.build(session).available()
    return reason if reason.startswith("not applicable") else ""


def chosen(words: list[str]) -> Iterable[tuple[Entry, str]]:
    """Entries with the names of their faults: all, or those named."""
    with tempfile.TemporaryDirectory() as folder:
        session = catalogue_docs.nowhere(Path(folder))
        named = [(entry, entry.build(session).name) for entry in ENTRIES]
    if unknown := set(words) - {name for _, name in named}:
        known = ", ".join(dict.fromkeys(name for _, name in named))
        raise UsageError(f"play {', '.join(sorted(unknown))}", "no such fault", f"known: {known}")
    return [
        (entry, name)
        for entry, name in named
        if name not in NEEDS_LOAD and (not words or name in words)
    ]


def main(words: list[str]) -> int:
    """Play; 1 when one did not bite, was not seen or was not undone."""
    entries, progress = list(chosen(words)), Progress()
    if not load_profile("kind").cluster.lab:
        raise UsageError("play the whole catalogue", "kind is no lab", "acpchaos lab up")
    progress.begin(f"{len(entries)} faults on kind")
    commit, dirty = checkout_state(PROJECT)
    seen_on = {
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", "commit": commit + " and more" * dirty,
    }  # fmt: skip
    found = []
    for entry, name in entries:
        begin_s = time.monotonic()
        if reason := unsuited(entry, load_profile("kind")):
            progress.say(f"{name} {entry.settings}: {reason}")
            continue
        found.append(play(entry, name, "kind"))
        told = found[-1].wrong or found[-1].played.saw
        progress.say(f"{name} {entry.settings}: {told}, {time.monotonic() - begin_s:.0f} s")
        if not found[-1].wrong:
            catalogue_docs.keep_played(found[-1].played._replace(**seen_on))
    bad = sum(bool(each.wrong) for each in found)
    print(f"{len(found) - bad} of {len(found)} faults bit, were seen and were undone")
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AcpchaosError as error:
        print(f"faults on the lab: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
