"""The tables below a timeline: token ledger, what was done and undone, versions, file hashes.

Room: report. Plain rows made from the record; the template only lays them out.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from acpchaos.check.fates import BROKEN, Fate, Followed, followed
from acpchaos.check.losses import RULES
from acpchaos.record.events import Fault, Observation, TokenProbe, Undo, Witness
from acpchaos.record.run import Run
from acpchaos.report.moments import origin_ns, relative

RESULTS = ("valid", "invalid", "unavailable", "error")
WHEN = ("before", "during", "after")
FOLLOWS = "sessions.losses_as_declared"


@dataclass(frozen=True)
class LedgerRow:
    """Results of one kind of token: per moment, "12 valid" or "3 valid, 9 invalid"; what became of
    them by all looks, "11 kept, 1 lied to", where the run declares what its fault may cost."""

    item: str
    tokens: int
    looks: dict[str, str]
    changed: bool
    fates: str = ""
    broken: bool = False


def ledger_rows(run: Run) -> list[LedgerRow]:
    """One row per kind of token. During an outage each token counts once, by its last look."""
    latest: dict[tuple[str, str], dict[str, str]] = {}
    tokens: dict[str, set[str]] = {}
    for probe in run.of(TokenProbe):
        latest.setdefault((probe.item, probe.when), {})[probe.token] = probe.result
        tokens.setdefault(probe.item, set()).add(probe.token)
    found = _followed(run)
    rows = []
    for item in sorted(tokens):
        tallies = {when: Counter(latest.get((item, when), {}).values()) for when in WHEN}
        looks = {when: _tally(tallies[when]) for when in WHEN}
        changed = bool(tallies["after"]) and tallies["after"] != tallies["before"]
        fates = Counter(each.fate for each in found if each.item == item)
        told = ", ".join(f"{fates[fate]} {fate}" for fate in Fate if fates[fate])
        broken = bool(BROKEN & fates.keys())
        rows.append(LedgerRow(item, len(tokens[item]), looks, changed, told, broken))
    return rows


def _followed(run: Run) -> list[Followed]:
    """What became of each token, by the rules of the claim that follows them."""
    for claim in run.scenario.claims:
        rules = RULES.get(str(claim.params.get("fault", "")))
        if claim.check == FOLLOWS and rules is not None:
            return list(followed(run, rules).values())
    return []


def _tally(counts: Counter[str]) -> str:
    order = [*RESULTS, *sorted(set(counts) - set(RESULTS))]
    return ", ".join(f"{counts[result]} {result}" for result in order if counts[result]) or "–"


@dataclass(frozen=True)
class Deed:
    """One line of what was done to the target. `kind`: fault, witness or undo."""

    at: str
    kind: str
    subject: str
    what: str
    detail: str
    good: bool


def deeds(run: Run) -> list[Deed]:
    """Faults, witnesses and undo records in order of time, relative to the first injection."""
    zero_ns = origin_ns(run)
    found: list[Deed] = []
    for event in run.events:
        at = relative(event.t_ns, zero_ns)
        if isinstance(event, Fault):
            told = "; ".join([", ".join(event.targets), *_pairs(event.detail)]).strip("; ")
            found.append(Deed(at, "fault", event.fault, event.verb, told, event.ok))
        elif isinstance(event, Witness):
            good = event.outcome == "installed"
            found.append(Deed(at, "witness", event.fault, event.outcome, event.saw, good))
        elif isinstance(event, Undo):
            told = "; ".join(_pairs(event.detail))
            found.append(Deed(at, "undo", event.change, event.state, told, event.state != "failed"))
    return found


def _pairs(detail: dict[str, object]) -> Iterator[str]:
    for key, shown in detail.items():
        plain = shown if isinstance(shown, str) else msgspec.json.encode(shown).decode()
        yield f"{key} {plain if len(plain) <= 160 else plain[:157] + '…'}"


@dataclass(frozen=True)
class Fact:
    """A named observation before and after, and whether both are equal."""

    name: str
    before: str
    after: str
    same: bool


def facts(run: Run) -> list[Fact]:
    """Observations taken both before and after, long values cut."""
    seen: dict[str, dict[str, str]] = {}
    for event in run.of(Observation):
        plain = event.value if isinstance(event.value, str) else _json(event.value)
        seen.setdefault(event.name, {})[event.when] = plain
    return [
        Fact(name, _cut(at["before"]), _cut(at["after"]), at["before"] == at["after"])
        for name, at in sorted(seen.items())
        if "before" in at and "after" in at
    ]


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _cut(plain: str) -> str:
    return plain if len(plain) <= 72 else f"{plain[:69]}…"


def file_hashes(folder: Path) -> list[tuple[str, int, str]]:
    """(path, bytes, sha256) of the run's files, pages and manifest excepted: these come after."""
    later = {"evidence.html", "manifest.json", "summary.md"}
    files = sorted(f for f in folder.rglob("*") if f.is_file() and f.name not in later)
    found = []
    for file in files:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        found.append((file.relative_to(folder).as_posix(), file.stat().st_size, digest))
    return found
