"""Each golden record gets the verdicts it was built for, and gets them from disk, byte for byte."""

from collections.abc import Callable
from pathlib import Path

import pytest
from golden import records
from golden.records import at

from acpchaos.check.judge import encode, judge, rejudge
from acpchaos.check.verdict import Outcome, merge
from acpchaos.record.events import Fault, Gap, Health, Phase, Undo, Witness
from acpchaos.record.run import Run, RunFolder

P, F, I, D = (  # noqa: E741
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.INCONCLUSIVE,
    Outcome.DIRTY,
)

ALL = ("never-down", "errors", "replicas", "sessions")

# builder, verdict of each claim, words that the reason must hold
EXPECTED = [
    (records.good, (P, P, P, P), ""),
    (records.outage, (F, F, P, P), "was down for 5."),
    (records.lost_session, (P, P, P, F), "lost undeclared"),
    (records.fault_did_nothing, (I, I, I, I), "not installed"),
    (records.too_little_load, (I, I, I, I), "load too thin"),
    (records.recorder_gap, (I, I, I, I), "blind for 5.0 s"),
    (records.undo_failed, (D, D, D, D), "cordon of worker2"),
    (records.unhealthy_before, (I, I, I, I), "pods: 2 of 3"),
]


@pytest.mark.parametrize(
    ("build", "outcomes", "words"), EXPECTED, ids=[build.__name__ for build, _, _ in EXPECTED]
)
def test_golden_record(
    build: Callable[[], Run], outcomes: tuple[Outcome, ...], words: str, tmp_path: Path
) -> None:
    run = build()
    judged = judge(run)
    found = {claim.id: claim.verdict.outcome for claim in judged}
    assert found == dict(zip(ALL, outcomes, strict=True)), [str(claim) for claim in judged]
    worst = merge(outcomes)
    assert any(words in c.verdict.why for c in judged if c.verdict.outcome is worst)
    assert offline(run, tmp_path) == encode(judged)


def offline(run: Run, path: Path) -> bytes:
    """verdicts.json of the run written to a folder and judged twice from there."""
    folder = RunFolder.create(path / "run", run.meta)
    with folder.journal("all") as journal:
        for event in run.events:
            journal.write(event)
    rejudge(folder.path)
    first = folder.verdicts.read_bytes()
    rejudge(folder.path)
    assert folder.verdicts.read_bytes() == first
    return first


def reasons(run: Run) -> str:
    judged = judge(run)
    assert {claim.verdict.outcome for claim in judged} == {I}
    return " ".join((judged[0].verdict.why, *judged[0].verdict.evidence))


def test_of_two_changes_of_one_name_each_must_be_taken_back() -> None:
    """One failed, and then its namesake was reverted."""
    twice = [
        Undo(t_ns=at(second), change="object acp", state=state)
        for second, state in ((31, "recorded"), (32, "recorded"), (50, "failed"), (51, "verified"))
    ]
    judged = judge(records.run_of([*records.good_events(), *twice]))
    assert {claim.verdict.outcome for claim in judged} == {D}
    assert "object acp (recorded)" in judged[0].verdict.why
    again = Undo(t_ns=at(52), change="object acp", state="verified")
    judged = judge(records.run_of([*records.good_events(), *twice, again]))
    assert D not in {claim.verdict.outcome for claim in judged}


def test_an_empty_record_decides_nothing() -> None:
    assert "no phase gate, steady" in reasons(records.run_of([]))


@pytest.mark.parametrize(
    ("dropped", "words"),
    [
        (lambda e: isinstance(e, Witness), "no witness saw pod_loss"),
        (lambda e: isinstance(e, Fault), "no fault was injected"),
        (lambda e: isinstance(e, Health) and e.when == "before", "nothing was looked at"),
        (lambda e: isinstance(e, Phase) and e.name == "end", "no phase end"),
        (records.due_between(0, 99, "prober"), "prober recorded nothing"),
        (records.due_between(40, 44, "prober"), "was silent for 4"),
        (records.due_between(30, 99, "load"), "load too thin: 0.0"),
        (lambda e: getattr(e, "flow", "") == "refresh" and e.source == "load", "flow refresh"),
    ],
)
def test_missing_proof_is_inconclusive_and_named(
    dropped: Callable[[object], bool], words: str
) -> None:
    assert words in reasons(records.run_of(records.without(records.good_events(), dropped)))


@pytest.mark.parametrize(
    ("where", "changes", "words"),
    [
        (lambda e: isinstance(e, Witness), {"outcome": "partial"}, "says partial"),
        (lambda e: isinstance(e, Fault) and e.verb == "inject", {"ok": False}, "pod_loss failed"),
        (records.due_between(11, 13, "load"), {"error": "http_500"}, "before any fault"),
        (records.due_between(35, 50, "load"), {"error": "never_sent"}, "never sent"),
    ],
)
def test_weak_proof_is_inconclusive_and_named(
    where: Callable[[object], bool], changes: dict[str, object], words: str
) -> None:
    events = records.changed(records.good_events(), where, **changes)
    assert words in reasons(records.run_of(events))


def test_every_look_of_a_witness_must_see_the_fault() -> None:
    later = Witness(
        t_ns=records.at(51), fault="pod_loss", outcome="indeterminate", saw="nodes unreachable"
    )
    assert "says indeterminate" in reasons(records.run_of([*records.good_events(), later]))


def test_clocks_apart_decide_nothing() -> None:
    run = records.good()
    run.meta.clock_offsets_ms["api server"] = -2500.0
    assert "clock of api server is -2500 ms off" in reasons(run)


def test_a_blink_of_a_recorder_is_tolerated() -> None:
    blink = records.Gap(
        t_ns=records.at(40.4), recorder="timeline-pods", from_ns=records.at(40), why="watch lost"
    )
    judged = judge(records.run_of([*records.good_events(), blink]))
    assert {claim.verdict.outcome for claim in judged} == {P}


@pytest.mark.parametrize("watched", ["poddisruptionbudgets", "statefulsets", "events"])
def test_what_no_claim_rests_on_may_be_missed(watched: str) -> None:
    lost = Gap(t_ns=records.at(50), recorder=f"timeline-{watched}", from_ns=records.at(40), why="x")
    judged = judge(records.run_of([*records.good_events(), lost]))
    assert {claim.verdict.outcome for claim in judged} == {P}


def test_a_gate_that_settles_counts_by_its_last_look() -> None:
    early = Health(t_ns=records.at(0.5), when="before", what="pods", ok=False, saw="2 of 3")
    judged = judge(records.run_of([*records.good_events(), early]))
    assert {claim.verdict.outcome for claim in judged} == {P}


def test_unhealthy_after_takes_the_proof_but_not_the_failure() -> None:
    ill = records.changed(
        records.outage().events,
        lambda e: isinstance(e, Health) and e.when == "after" and e.what == "pods",
        ok=False,
        saw="2 of 3",
    )
    found = {claim.id: claim.verdict for claim in judge(records.run_of(ill))}
    assert found["errors"].outcome is F
    assert found["replicas"].outcome is I
    assert "not healthy after: pods: 2 of 3" in found["replicas"].why


def test_a_change_only_reverted_but_not_verified_is_dirty() -> None:
    events = records.without(
        records.good_events(), lambda e: isinstance(e, Undo) and e.state == "verified"
    )
    assert {c.verdict.outcome for c in judge(records.run_of(events))} == {D}


@pytest.mark.parametrize("check", ["nonsense.check", "sessions.fates", "sessions.defaultdict"])
def test_an_unknown_check_decides_nothing(check: str) -> None:
    claim = records.Claim(id="x", says="x", check=check)
    (judged,) = judge(records.run_of(records.good_events(), (claim,)))
    assert judged.verdict.outcome is I
    assert "LookupError" in judged.verdict.why


def test_a_crashing_check_decides_nothing() -> None:
    claim = records.Claim(id="x", says="x", check="availability.error_ratio", params={"no": 1.0})
    (judged,) = judge(records.run_of(records.good_events(), (claim,)))
    assert judged.verdict.outcome is I
    assert "crashed: TypeError" in judged.verdict.why
