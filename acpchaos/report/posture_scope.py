"""What a review looked at and how much of it could be read: first on its page.

Room: report. It counts what the snapshot holds; whether a row could be decided is the judge's.
"""

from collections.abc import Callable

from acpchaos.check.posture.folder import ReviewMeta
from acpchaos.check.verdict import Outcome
from acpchaos.record.snapshot import Answer as ApiAnswer
from acpchaos.record.snapshot import Snapshot
from acpchaos.report.scope import Answer
from acpchaos.report.words import plural


def answers(snapshot: Snapshot, meta: ReviewMeta) -> list[Answer]:
    """The questions in the order in which a sceptic asks them."""
    return [
        _objects(snapshot),
        _management(snapshot),
        _certificates(snapshot),
        _probes(snapshot, meta),
    ]


def _objects(snapshot: Snapshot) -> Answer:
    kinds = {kind: found for kind, found in snapshot.objects.items() if found}
    count = sum(len(found) for found in kinds.values())
    unread = _unread(snapshot, lambda key: not key.startswith(("answer ", "served ", "probe ")))
    short = f"{count:,} {plural('object', count)} of {len(kinds)} {plural('kind', len(kinds))}"
    return _told("Objects read", short, unread, nothing=not count)


def _management(snapshot: Snapshot) -> Answer:
    if snapshot.source == "manifests":
        return _absent("Management API asked")
    bad = [
        f"{path}: {_why(answer)}" for path, answer in snapshot.answers.items() if not _good(answer)
    ]
    unread = [*_unread(snapshot, lambda key: key.startswith("answer ")), *bad]
    good = len(snapshot.answers) - len(bad)
    short = f"{good} {plural('answer', good)}"
    return _told("Management API asked", short, unread, nothing=not good)


def _good(answer: ApiAnswer) -> bool:
    return answer.status in (200, 404)


def _why(answer: ApiAnswer) -> str:
    status = f"HTTP {answer.status}" if answer.status else ""
    return " ".join(part for part in (status, answer.error) if part) or "no answer"


def _certificates(snapshot: Snapshot) -> Answer:
    if snapshot.source == "manifests":
        return _absent("Certificates seen")
    seen = [each for each in snapshot.served if each.chain]
    unseen = [f"{each.where}: {each.error}" for each in snapshot.served if not each.chain]
    unread = [*_unread(snapshot, lambda key: key.startswith("served ")), *unseen]
    short = f"{len(seen)} {plural('place', len(seen))}"
    return _told("Certificates seen", short, unread, nothing=not seen)


def _probes(snapshot: Snapshot, meta: ReviewMeta) -> Answer:
    question = "Probes run"
    if snapshot.source == "manifests":
        return _absent(question)
    if not snapshot.probes and not meta.allow_probes:
        detail = "active rows are undecided without --allow-probes"
        return Answer(question, Outcome.NOT_APPLICABLE, "not asked for", (detail,))
    unknown = [
        f"{name}: {probe.saw}" for name, probe in snapshot.probes.items()
        if probe.outcome == "unknown"
    ]  # fmt: skip
    unread = [*_unread(snapshot, lambda key: key.startswith("probe ")), *unknown]
    good = len(snapshot.probes) - len(unknown)
    return _told(question, f"{good} {plural('outcome', good)}", unread, nothing=not good)


def _unread(snapshot: Snapshot, mine: Callable[[str], bool]) -> list[str]:
    return [f"{key}: {why}" for key, why in sorted(snapshot.unread.items()) if mine(key)]


def _told(question: str, short: str, unread: list[str], *, nothing: bool) -> Answer:
    if not unread and not nothing:
        return Answer(question, Outcome.PASSED, short)
    lack = f"{short}, {len(unread)} not read" if unread else short
    return Answer(question, Outcome.INCONCLUSIVE, lack, tuple(unread))


def _absent(question: str) -> Answer:
    return Answer(question, Outcome.NOT_APPLICABLE, "manifests cannot tell")
