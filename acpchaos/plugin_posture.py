"""The hardening rows as pytest cases: one gathering of evidence per session, one case per row.

Room: door. It must not judge or gather; it calls the same function as `acpchaos posture`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from acpchaos.check.checklist import load_checklist
from acpchaos.check.verdict import Outcome
from acpchaos.errors import AcpchaosError, TargetLeftDirty, UsageError
from acpchaos.plugin_ledger import LEDGER, Inconclusive, Ledger, crashed, given

if TYPE_CHECKING:
    from acpchaos.check.posture.rule import RowResult
    from acpchaos.review import Reviewed

WAIVED = "waived: "
_SOURCES = ("--chaos-target", "--chaos-snapshot", "--chaos-manifests")


def hardening_rows(test: Callable[..., None]) -> Callable[..., None]:
    """Decorate a test that takes `row`: it runs once per hardening row of the check-list."""
    cases = [
        pytest.param(row.id, id=row.id, marks=pytest.mark.posture)
        for row in load_checklist()
        if row.chapter == "hardening"
    ]
    decorated: Callable[..., None] = pytest.mark.parametrize("row", cases, indirect=True)(test)
    return decorated


def add_options(group: pytest.OptionGroup) -> None:
    """Options of the rows; the target is shared with the plays."""
    group.addoption("--chaos-allow-probes", action="store_true", help="probe actively, too")
    for name, what in (
        ("snapshot", "judge this snapshot; no cluster is touched"),
        ("manifests", "judge rendered manifests; no cluster is touched"),
        ("waivers", "accepted findings (TOML)"),
        ("attestations", "what people attest (TOML)"),
    ):
        group.addoption(f"--chaos-{name}", metavar="PATH", type=Path, help=what)
    group.addoption(
        "--chaos-attester", action="append", default=[], metavar="NAME=FILE",
        help="public key of an attester",
    )  # fmt: skip


def check_options(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Rows need a source of evidence, and nothing else; without one the exit is 4."""
    rows = [item for item in items if item.get_closest_marker("posture")]
    for item in rows:
        item.add_marker(pytest.mark.timeout(0))  # gathering has budgets of its own
    if not rows or config.getoption("collectonly"):
        return
    if not any(given(config, option) for option in _SOURCES):
        raise pytest.UsageError(
            f"hardening rows are judged from evidence and need one of {', '.join(_SOURCES)}; type\n"
            "  pytest suites/test_hardening.py --chaos-target kind"
        )


@pytest.fixture
def row(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> RowResult:
    """The judged row, gathering the evidence first when this session has not yet."""
    result = next(each for each in _reviewed(request.config).rows if each.row == request.param)
    outcome = result.verdict.outcome
    ledger = request.config.stash[LEDGER]
    ledger.rows.append(result)
    ledger.outcomes.append(outcome)
    from acpchaos.report.junit import row_properties

    for name, value in row_properties(result):
        record_property(name, value)
    if outcome in (Outcome.PASSED, Outcome.FAILED):
        return result
    if outcome in (Outcome.WAIVED, Outcome.NOT_APPLICABLE):
        pytest.skip(f"{WAIVED if outcome is Outcome.WAIVED else ''}{result.verdict.why}")
    raise Inconclusive(f"{outcome}: {result.verdict.why}")


def _reviewed(config: pytest.Config) -> Reviewed:
    """The review of this session; an expected error is remembered and told for each row."""
    ledger = config.stash[LEDGER]
    if ledger.review is None:
        ledger.review = _review(config)
    if isinstance(ledger.review, UsageError):
        pytest.exit(str(ledger.review), returncode=ledger.review.exit_code)
    if isinstance(ledger.review, AcpchaosError):
        dirty = isinstance(ledger.review, TargetLeftDirty)
        ledger.outcomes.append(Outcome.DIRTY if dirty else Outcome.INCONCLUSIVE)
        raise Inconclusive(str(ledger.review))
    return ledger.review


def _review(config: pytest.Config) -> Reviewed | AcpchaosError:
    from acpchaos.report.progress import Progress
    from acpchaos.review import Wish, read_attesters, review

    option = config.getoption
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            wish = Wish(
                target=option("chaos_target") or "",
                snapshot=option("chaos_snapshot"),
                manifests=option("chaos_manifests"),
                allow_probes=option("chaos_allow_probes"),
                waivers=option("chaos_waivers"),
                attestations=option("chaos_attestations"),
                attesters=read_attesters(option("chaos_attester")),
            )
            return review(wish, Path(option("chaos_reports")), Progress())
        except AcpchaosError as error:
            return error
        except Exception as error:
            return crashed("review the hardening", error)


def status(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Letter W for waived: skipped, but by somebody's word and until a date."""
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    if report.when == "setup" and report.skipped and WAIVED in told:
        return "waived", "W", "WAIVED"
    return None


def write_summary(reporter: pytest.TerminalReporter, ledger: Ledger) -> None:
    """Rows that are undecided or waived, which pytest itself does not explain, and the count."""
    from acpchaos.report.posture_terminal import row_lines
    from acpchaos.report.posture_words import summary_line, worst_first

    reporter.section("hardening")
    if isinstance(ledger.review, AcpchaosError):
        reporter.write_line(f"not judged. {ledger.review}")
        return
    untold = (Outcome.INCONCLUSIVE, Outcome.WAIVED)
    open_rows = [each for each in worst_first(ledger.rows) if each.verdict.outcome in untold]
    for line in [*row_lines(open_rows), summary_line(ledger.rows)]:
        reporter.write_line(line)
