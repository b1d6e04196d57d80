"""What attempts prove: an outcome for every mixture of words, and for rounds that disagree."""

from collections.abc import Iterator

import pytest

from acpchaos.posture.probes.attempts import ROUNDS, Attempt, Place, judged, settled


def tried(*words: str) -> list[Attempt]:
    return [Attempt(Place("pod", "10.0.0.1", port), word) for port, word in enumerate(words, 1)]


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (["timeout"], "blocked"),
        (["rejected", "timeout"], "blocked"),
        (["open"], "open"),
        (["refused"], "open"),  # nobody listens, yet the packet got through
        (["timeout", "timeout", "open"], "open"),  # one hole is a hole
        (["unreachable"], "unknown"),  # the pod may be gone
        (["timeout", "unsteady"], "unknown"),
        (["EINVAL"], "unknown"),
        ([], "unknown"),
    ],
)
def test_an_outcome_needs_every_attempt_to_agree(words: list[str], outcome: str) -> None:
    assert judged(tried(*words), source_works=True).outcome == outcome


def test_a_block_seen_by_a_pod_that_reaches_nothing_proves_nothing() -> None:
    probe = judged(tried("timeout"), source_works=False)
    assert probe.outcome == "unknown" and "reached nothing" in probe.saw
    assert judged(tried("open"), source_works=False).outcome == "open"


def test_a_reset_is_no_proof_where_policies_answer_with_one() -> None:
    assert judged(tried("refused"), source_works=True, rejects_by_reset=True).outcome == "unknown"
    assert judged(tried("open"), source_works=True, rejects_by_reset=True).outcome == "open"


def test_only_a_place_that_may_be_absent_counts_as_blocked_when_no_way_leads_there() -> None:
    assert judged(tried("unreachable"), source_works=True, may_be_absent=True).outcome == "blocked"


def test_what_was_seen_is_told_with_the_place() -> None:
    assert judged(tried("timeout", "open"), source_works=True).saw == "pod 10.0.0.1:2 open"
    assert judged(tried(*["timeout"] * 6), source_works=True).saw.endswith("and 2 more")


def rounds(*each: list[str]) -> tuple[Iterator[list[Attempt]], list[float]]:
    return iter([tried(*words) for words in each]), []


def test_a_policy_that_comes_late_is_waited_for() -> None:
    given, paused = rounds(["open"], ["timeout"], ["rejected"])
    assert settled(lambda: next(given), paused.append)[0].word == "rejected"
    assert len(paused) == 2


def test_two_rounds_that_agree_are_enough() -> None:
    given, _ = rounds(["open", "timeout"], ["open", "rejected"], ["never asked"] * 2)
    assert [a.word for a in settled(lambda: next(given), lambda _: None)] == ["open", "rejected"]


def test_what_never_agrees_is_unsteady() -> None:
    words = [["open", "timeout"], ["timeout", "timeout"]] * ROUNDS
    given, _ = rounds(*words)
    assert [a.word for a in settled(lambda: next(given), lambda _: None)] == ["unsteady", "timeout"]
