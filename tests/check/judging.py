"""What the tests of the checks share: runs of a few events, and one way to expect a verdict."""

from golden import records
from golden.records import at

from acpchaos.check.verdict import Outcome, Verdict
from acpchaos.record.events import AnyEvent, Request
from acpchaos.record.run import Run

P, F, I, N = (  # noqa: E741
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.INCONCLUSIVE,
    Outcome.NOT_APPLICABLE,
)


def played(*more: AnyEvent) -> Run:
    """Phases and fault, and nothing else but `more`."""
    return records.run_of([*records.phases(), *records.fault(), *more])


def expect(verdict: Verdict, outcome: Outcome, words: str) -> Verdict:
    assert verdict.outcome is outcome, verdict
    assert words in verdict.why
    return verdict


def probes(*bad_s: tuple[float, float]) -> list[Request]:
    return [
        request
        for request in records.changed(
            records.prober(),
            lambda e: any(at(a) <= e.intended_ns < at(b) for a, b in bad_s),
            error="refused",
        )
        if isinstance(request, Request) and request.flow == "client_credentials"
    ]
