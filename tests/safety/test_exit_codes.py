"""The exit code of `pytest suites` is that of the worst thing that happened."""

import os
import subprocess
import sys
from pathlib import Path

from acpchaos.target.profile import PROJECT

SUITE = """
from pathlib import Path
import pytest
from acpchaos import plugin
from acpchaos.check.verdict import JudgedClaim, Outcome, Verdict
from acpchaos.errors import TargetLeftDirty
from acpchaos.scenario import Claim, Load, Scenario

patch = pytest.MonkeyPatch()
patch.setattr("acpchaos.play.play", lambda scenario, *_, **__: PLAYS[scenario.name](scenario))
patch.setattr("acpchaos.report.session.write_session", lambda *_: Path("page"))


class Played:
    folder = Path("run")
    def __init__(self, scenario, outcome):
        verdict = Verdict(outcome=outcome, why="so")
        self.judged = tuple(JudgedClaim(id=c.id, says=c.says, rows=(), verdict=verdict)
                            for c in scenario.claims)


def broken(scenario):
    print(f"play of {scenario.name}")
    raise KeyError("a defect")


def dirty(scenario):
    raise TargetLeftDirty("undo", "a node", "undo it")


def stopped(scenario):
    raise KeyboardInterrupt


PLAYS = {
    "good": lambda s: Played(s, Outcome.PASSED), "bad": lambda s: Played(s, Outcome.FAILED),
    "open": lambda s: Played(s, Outcome.INCONCLUSIVE), "broken": broken, "dirty": dirty,
    "other": lambda s: Played(s, Outcome.PASSED), "stopped": stopped,
}


def scenario(name):
    claims = tuple(Claim(id=f"{name}-{n}", says="x", check="y") for n in "ab")
    return Scenario(name=name, load=Load(), experiment="pod-loss.yaml", steady_s=1, fault_s=1,
                    recovery_s=1, claims=claims)


for name in PLAYS:
    def test(verdict, name=name):
        assert verdict.held
        assert name != "other"
    globals()[f"test_{name}"] = plugin.plays(scenario(name))(test)
del test
"""


SESSIONS = """
import sys
import pytest
for asked, *options in %r:
    print(f"-- {asked}", flush=True)
    code = pytest.main(["-p", "no:cacheprovider", "-p", "acpchaos.plugin", "--rootdir=.",
        "test_suite.py", "-k", asked, "--chaos-target", "kind", "--chaos-allow-disruption",
        *options])
    print(f"-- ended with {int(code)}", flush=True)
"""
ASKED = {
    ("good",): 0,
    ("good or bad or open",): 1,
    ("good or open",): 10,
    ("good or open", "--chaos-inconclusive", "warn"): 0,
    ("good or other",): 1,  # a test that asks for more than its verdict
    ("good or broken",): 10,  # a play that crashed
    ("good or bad or dirty",): 11,
    ("good or stopped",): 2,
    ("dirty or stopped",): 11,
}


def test_the_worst_counts(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SESSIONS % list(ASKED)], cwd=tmp_path, capture_output=True,
        text=True, timeout=110, check=False, env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    parts = dict(zip(ASKED, done.stdout.split("\n-- ended with ")[:-1], strict=True))
    codes = [int(part.split("\n")[0]) for part in done.stdout.split("\n-- ended with ")[1:]]
    assert dict(zip(ASKED, codes, strict=True)) == ASKED, done.stdout + done.stderr
    assert parts["good or broken",].count("play of broken") == 1  # not again for each claim
    assert done.stderr.count("KeyError: 'a defect'\n") == 1
