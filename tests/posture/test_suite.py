"""The two doors to the hardening rows: `acpchaos posture` and suites/test_hardening.py."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from acpchaos import review as reviewing_room
from acpchaos.check.posture.folder import ReviewFolder
from acpchaos.check.verdict import JudgedClaim
from acpchaos.cli import main
from acpchaos.errors import PreconditionUnmet
from acpchaos.record import snapshot as store
from acpchaos.record.snapshot import Snapshot
from acpchaos.target.profile import Profile
from posture.building_lab import PROJECT, hardened
from posture.reviewing import FAILED, UNDECIDED, WAIVED, WAIVERS, attestations, damaged

SUITE = PROJECT / "suites" / "test_hardening.py"


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store.write(damaged(), tmp_path_factory.mktemp("bad") / "snapshot")


@pytest.fixture(scope="module")
def waivers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("waivers") / "waivers.toml"
    path.write_text(WAIVERS)
    return path


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return attestations(tmp_path_factory.mktemp("attestations"))


# pytest


def suite(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", str(SUITE),
        "--chaos-reports", str(tmp_path / "reports"), *options,
    ]  # fmt: skip
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=100)


def test_rows_are_cases_with_letters_and_properties(
    tmp_path: Path, bad: Path, waivers: Path, said: Path
) -> None:
    done = suite(
        tmp_path, "--chaos-snapshot", str(bad), "--chaos-waivers", str(waivers),
        "--chaos-attestations", str(said),
        f"--junit-xml={tmp_path / 'junit.xml'}",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    for row, word in ((FAILED, "FAILED"), (UNDECIDED, "INCONCLUSIVE"), (WAIVED, "WAIVED"),
                      ("HARD-01", "PASSED"), ("HARD-52", "SKIPPED")):  # fmt: skip
        assert f"test_hardening[{row}] {word}" in done.stdout
    assert "hardening: snapshot" in done.stderr + done.stdout
    assert (done.stderr + done.stdout).count("rows judged in") == 1  # one gathering per session
    cases = ET.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    found = {case.get("name"): case for case in cases}
    assert len(found) == 53
    case = found[f"test_hardening[{FAILED}]"]
    properties = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert properties["severity"] == "critical" and properties["row"] == FAILED
    assert str(properties["remedy"]).startswith("curl -X DELETE")


def test_the_session_page_counts_rows_as_proven(tmp_path: Path, bad: Path) -> None:
    done = suite(tmp_path, "--chaos-snapshot", str(bad), "-k", "HARD-04 or HARD-05")
    assert done.returncode == 0, done.stdout
    (page,) = (tmp_path / "reports").glob("*-session/evidence.html")
    assert 'id="hardening"' in page.read_text() and "check-list rows proven" in page.read_text()
    assert f"evidence: {page}" in done.stdout


def test_an_undecided_row_ends_with_10(tmp_path: Path, bad: Path) -> None:
    done = suite(tmp_path, "--chaos-snapshot", str(bad), "-k", f"HARD-04 or {UNDECIDED}")
    assert done.returncode == 10 and "could not be read" in done.stdout


def test_without_a_source_nothing_is_asked(tmp_path: Path) -> None:
    done = suite(tmp_path)
    assert done.returncode == 4 and "--chaos-target, --chaos-snapshot" in done.stderr


def test_probes_without_a_cluster_are_refused(tmp_path: Path, bad: Path) -> None:
    done = suite(tmp_path, "--chaos-snapshot", str(bad), "--chaos-allow-probes")
    assert done.returncode == 4 and "probes need a cluster" in done.stdout + done.stderr


def test_rows_need_no_consent_to_disruption_and_are_listed_without_a_target() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", str(SUITE)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stdout.count("test_hardening[HARD-") == 53


# the command line


def posture(tmp_path: Path, *options: str) -> Result:
    return CliRunner().invoke(
        main, ["posture", "--reports", str(tmp_path / "reports"), *options], prog_name="acpchaos"
    )


def test_rows_are_printed_and_written(tmp_path: Path, bad: Path, waivers: Path, said: Path) -> None:
    files = [tmp_path / "deep" / name for name in ("p.sarif", "p.md", "p.html")]
    done = posture(
        tmp_path, "--snapshot", str(bad), "--waivers", str(waivers),
        "--attestations", str(said), "--sarif", str(files[0]),
        "--markdown", str(files[1]), "--html", str(files[2]),
    )  # fmt: skip
    assert done.exit_code == 1, done.output
    assert sum(f"  HARD-{at:02d}  " in done.output for at in range(1, 54)) == 53
    assert "53 rows: 1 failed (1 critical)" in done.output
    assert '"2.1.0"' in files[0].read_text() and "## ✕ Hardening" in files[1].read_text()
    assert "<!doctype html>" in files[2].read_text()
    (folder,) = (tmp_path / "reports").iterdir()
    assert folder.name.endswith("-posture")
    stored = msgspec.json.decode(ReviewFolder(folder).verdicts.read_bytes(), type=list[JudgedClaim])
    assert len(stored) == 53 and ReviewFolder(folder).waivers.read_text() == WAIVERS
    assert ReviewFolder(folder).attestations.read_bytes() == said.read_bytes()


def test_a_review_is_judged_again_from_its_folder_alone(
    tmp_path: Path, bad: Path, waivers: Path
) -> None:
    posture(tmp_path, "--snapshot", str(bad), "--waivers", str(waivers))
    (folder,) = (tmp_path / "reports").iterdir()
    before = ReviewFolder(folder).verdicts.read_bytes()
    done = CliRunner().invoke(main, ["check", str(folder)])
    assert done.exit_code == 1 and "1 waived (1 medium)" in done.output
    assert ReviewFolder(folder).verdicts.read_bytes() == before
    page = tmp_path / "page.html"
    assert CliRunner().invoke(main, ["report", str(folder), "--out", str(page)]).exit_code == 0
    assert 'id="hardening"' in page.read_text()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--snapshot", ".", "--manifests", "."), "both a snapshot and manifests"),
        (("--manifests", "."), "do not tell which workloads"),
        (("--snapshot", ".", "--allow-probes"), "probes need a cluster"),
        (("--snapshot", "."), "snapshot.json"),
        (("--snapshot", ".", "--attester", "me"), "read the public key of 'me'"),
        (("--snapshot", ".", "--waivers", "README.md"), "read waivers from README.md"),
        (("--snapshot", ".", "--attestations", "README.md"), "read attestations from README.md"),
        (("--target", "nowhere"), "no file at"),
    ],
)
def test_what_contradicts_itself_or_cannot_be_read_is_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], why: str
) -> None:
    monkeypatch.chdir(PROJECT)
    done = posture(tmp_path, *options)
    assert done.exit_code == 4 and why in done.output, done.output
    assert not (tmp_path / "reports").exists()


def test_two_reviews_are_compared_row_by_row(tmp_path: Path, bad: Path) -> None:
    good = store.write(hardened(), tmp_path / "good")
    posture(tmp_path, "--snapshot", str(good))
    (other,) = (tmp_path / "reports").iterdir()
    done = posture(tmp_path, "--snapshot", str(bad), "--compare", str(other))
    assert f"{FAILED}  critical  passed -> failed" in done.output
    assert f"{UNDECIDED}  high      passed -> inconclusive" in done.output
    assert "HARD-04  critical  passed ->" not in done.output
    assert posture(tmp_path, "--snapshot", str(bad), "--compare", str(tmp_path)).exit_code == 4


def test_a_profile_may_be_stricter_than_the_snapshot(tmp_path: Path, bad: Path) -> None:
    (tmp_path / "strict.toml").write_text(
        '[cluster]\ncontext = "x"\n[service]\nbase_url = "https://localhost:8443"\n'
        "[posture]\ncertificate_days = 400\n"
    )
    done = posture(tmp_path, "--snapshot", str(bad), "--target", str(tmp_path / "strict.toml"))
    assert "400 days left" in done.output


# a live cluster, as far as it can be without one


def test_a_live_target_is_read_with_the_consent_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def live(profile: Profile, progress: object, *, allow_probes: bool = False) -> Snapshot:
        asked.append((profile.name, allow_probes))
        return hardened()

    monkeypatch.setattr(reviewing_room, "live", live)
    posture(tmp_path, "--target", "kind")
    posture(tmp_path, "--allow-probes")
    assert asked == [("kind", False), ("kind", True)]


def test_a_cluster_that_cannot_be_read_is_told_and_nothing_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def live(profile: Profile, progress: object, *, allow_probes: bool = False) -> Snapshot:
        raise PreconditionUnmet("read the cluster", "no answer", "start it")

    monkeypatch.setattr(reviewing_room, "live", live)
    done = posture(tmp_path, "--target", "kind")
    assert done.exit_code == 10 and "no answer" in done.output
    assert not (tmp_path / "reports").exists()
