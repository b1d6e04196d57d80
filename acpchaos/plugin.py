"""The pytest door: options, one play per scenario, one test per claim, exit codes.

Room: door. It must not judge or wait; it calls the same functions as the command line.
A failed claim is a failure; an inconclusive one is an error (letter I), raised before the test
body, so that every dashboard already tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from acpchaos import plugin_posture, plugin_repeats
from acpchaos.check.verdict import JudgedClaim, Outcome, exit_code, merge
from acpchaos.errors import EXIT_HELD, AcpchaosError, TargetLeftDirty, UsageError
from acpchaos.plugin_ledger import LEDGER, Inconclusive, Ledger, crashed, given
from acpchaos.plugin_posture import row
from acpchaos.scenario import Claim, Scenario

if TYPE_CHECKING:
    from acpchaos.play import Played
    from acpchaos.target.profile import Profile

SERIAL = "chaos suites are serial by design: drop -n / --numprocesses"
__all__ = ["plays", "row"]  # row is a fixture: pytest finds it here


def plays(scenario: Scenario) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a test that takes `verdict`: it runs once per claim of the scenario."""
    cases = [
        pytest.param((scenario, claim), id=claim.id, marks=pytest.mark.disruptive)
        for claim in scenario.claims
    ]
    return pytest.mark.parametrize("verdict", cases, indirect=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """All options begin with --chaos, since locust's plugin already owns --host."""
    group = parser.getgroup("acpchaos", "proof that an ACP installation survives what breaks it")
    group.addoption("--chaos-target", metavar="NAME", help="profile in targets/, or a TOML path")
    group.addoption("--chaos-allow-disruption", action="store_true", help="really inject faults")
    group.addoption(
        "--chaos-dry-run", action="store_true", help="print each play's plan and touch nothing"
    )
    group.addoption(
        "--chaos-stop-file", metavar="PATH", help="a play undoes and ends when this file appears"
    )
    group.addoption(
        "--chaos-stop-url", metavar="URL",
        help="... when an alarm fires there (Alertmanager's /api/v2/alerts, or Prometheus)",
    )  # fmt: skip
    group.addoption(
        "--chaos-stop-burn", metavar="TIMES", type=float, default=None,
        help="... when the load has burnt the scenario's error budget so many times",
    )  # fmt: skip
    group.addoption("--chaos-seed", type=int, default=None, help="seed of all random choices")
    group.addoption("--chaos-reports", metavar="DIR", default="reports", help="run folders' home")
    group.addoption(
        "--chaos-inconclusive",
        choices=("fail", "warn"),
        default="fail",
        help="whether an inconclusive claim changes the exit code (nightly: fail)",
    )
    plugin_repeats.add_options(group)
    plugin_posture.add_options(group)


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the session's ledger; refuse what would make a chaos result meaningless."""
    config.stash[LEDGER] = Ledger()
    if config.getoption("numprocesses", None) and config.getoption("chaos_target"):
        raise pytest.UsageError(SERIAL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A suite needs a target and consent; without them nothing is touched and the exit is 4."""
    plugin_posture.check_options(config, items)
    disruptive = [item for item in items if item.get_closest_marker("disruptive")]
    if not disruptive:
        return
    if hasattr(config, "workerinput"):  # a process of pytest-xdist
        raise pytest.UsageError(SERIAL)
    for item in disruptive:
        item.add_marker(pytest.mark.timeout(0))  # a play has budgets of its own
    if config.getoption("collectonly"):
        return
    consent = "--chaos-dry-run" if given(config, "--chaos-dry-run") else "--chaos-allow-disruption"
    missing = [each for each in ("--chaos-target", consent) if not given(config, each)]
    if missing:
        raise pytest.UsageError(
            f"suites inject faults into a cluster and need {' and '.join(missing)}; type\n"
            "  pytest suites --chaos-target kind --chaos-allow-disruption"
        )


@pytest.fixture
def verdict(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Any:
    """The judged claim, playing its scenario first when this session has not yet."""
    scenario, claim = request.param
    if given(request.config, "--chaos-dry-run"):
        _plan(request.config, scenario)
        pytest.skip("planned, not played")
    judged = _judged(request.config, scenario, claim)
    ledger = request.config.stash[LEDGER]
    ledger.outcomes.append(judged.verdict.outcome)
    ledger.judged.append(judged)
    from acpchaos.report.junit import properties

    for name, value in properties(judged):
        record_property(name, value)
    if judged.verdict.outcome in (Outcome.PASSED, Outcome.FAILED):
        return judged
    if judged.verdict.outcome is Outcome.NOT_APPLICABLE:
        pytest.skip(judged.verdict.why)
    raise Inconclusive(f"{judged.verdict.outcome}: {judged.verdict.why}")


def _judged(config: pytest.Config, scenario: Scenario, claim: Claim) -> JudgedClaim:
    """Play once per scenario; an expected error is remembered and told for each claim."""
    ledger = config.stash[LEDGER]
    if scenario.name not in ledger.plays:
        ledger.plays[scenario.name] = plugin_repeats.repeated(config, scenario, _play)
    played = ledger.plays[scenario.name]
    if isinstance(played, UsageError):
        pytest.exit(str(played), returncode=played.exit_code)
    if isinstance(played, AcpchaosError):
        outcome = Outcome.DIRTY if isinstance(played, TargetLeftDirty) else Outcome.INCONCLUSIVE
        ledger.outcomes.append(outcome)
        raise Inconclusive(str(played))
    return next(judged for judged in played.judged if judged.id == claim.id)


def _plan(config: pytest.Config, scenario: Scenario) -> None:
    """Print the plan of a scenario once; one that cannot be made is inconclusive."""
    from acpchaos.plan import plan_scenario

    plans = config.stash[LEDGER].plans
    if scenario.name not in plans:
        try:
            profile = _profile(config)
            seed = config.getoption("chaos_seed") or 0
            plans[scenario.name] = "\n".join(plan_scenario(scenario, profile, seed))
            capture = config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled():
                print(f"\n{plans[scenario.name]}")
        except AcpchaosError as error:
            plans[scenario.name] = error
    planned = plans[scenario.name]
    if isinstance(planned, UsageError):
        pytest.exit(str(planned), returncode=planned.exit_code)
    if isinstance(planned, AcpchaosError):
        raise Inconclusive(str(planned))


def _profile(config: pytest.Config) -> Profile:
    """The target's, with what the options say of stopping."""
    from acpchaos.stopping import asked
    from acpchaos.target.profile import load_profile

    option = config.getoption
    return asked(
        load_profile(option("chaos_target")), option("chaos_stop_file"), option("chaos_stop_url"),
        option("chaos_stop_burn"),
    )  # fmt: skip


def _play(config: pytest.Config, scenario: Scenario) -> Played | AcpchaosError:
    from acpchaos.play import play
    from acpchaos.report.progress import Progress

    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            return play(
                scenario,
                _profile(config),
                target=config.getoption("chaos_target"),
                reports=Path(config.getoption("chaos_reports")),
                seed=config.getoption("chaos_seed"),
                progress=Progress(),
            )
        except AcpchaosError as error:
            return error
        except Exception as error:
            return crashed(f"play {scenario.name}", error)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """What breaks a test beside its verdict is never outvoted by verdicts that passed."""
    told = (Inconclusive, pytest.skip.Exception)
    if call.excinfo is not None and not call.excinfo.errisinstance(told):
        item.config.stash[LEDGER].outcomes.append(Outcome.FAILED)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Letter I for inconclusive, W for waived."""
    if report.when == "setup" and report.failed and "Inconclusive" in str(report.longrepr):
        return "inconclusive", "I", "INCONCLUSIVE"
    return plugin_posture.status(report)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the session's evidence and turn pytest's exit code into ours (design, section 4)."""
    ledger = session.config.stash[LEDGER]
    if any(isinstance(each, AcpchaosError) for each in ledger.plans.values()):
        session.exitstatus = exit_code(Outcome.INCONCLUSIVE)
    if not ledger.used:
        return
    from acpchaos.report.session import write_session

    if ledger.folders:
        ledger.page = write_session(ledger.folders, Path(session.config.getoption("chaos_reports")))
    merged = merge(ledger.outcomes)
    warns = session.config.getoption("chaos_inconclusive") == "warn"
    ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    if ended or merged is Outcome.DIRTY:  # not even Ctrl-C hides that
        forgiven = warns and merged is Outcome.INCONCLUSIVE
        session.exitstatus = EXIT_HELD if forgiven else exit_code(merged)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The count of rows, one line per claim, and where the evidence lies."""
    ledger = config.stash[LEDGER]
    if ledger.review is not None:
        plugin_posture.write_summary(terminalreporter, ledger)
    if ledger.plays:
        _write_claims(terminalreporter, ledger)
        plugin_repeats.write(terminalreporter, config)
    if ledger.page:
        terminalreporter.write_line(f"evidence: {ledger.page}")


def _write_claims(terminalreporter: pytest.TerminalReporter, ledger: Ledger) -> None:
    from acpchaos.report.terminal import claim_lines

    terminalreporter.section("claims")
    for line in claim_lines(ledger.judged):
        terminalreporter.write_line(line)
    for name, played in ledger.plays.items():
        if isinstance(played, AcpchaosError):
            terminalreporter.write_line(f"{name}: not judged. {played}")
