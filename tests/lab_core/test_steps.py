"""The walk: order, what is kept, how a failure speaks, and that an interrupted walk goes on."""

from pathlib import Path

import pytest

from lab.gobuild import toolchain
from lab.process import LabError, run
from lab.steps import Step, StepFailed, walk


def test_a_done_step_is_kept_and_its_act_not_called() -> None:
    def never() -> None:
        raise AssertionError("a finished step was done again")

    said: list[str] = []
    result = walk([Step("first", 5, never, lambda: True)], said.append)
    assert result.kept == ["first"]
    assert result.took_s == {}
    assert "kept" in said[0]


def test_an_interrupted_walk_goes_on_where_it_stopped() -> None:
    finished: set[str] = set()
    acts: list[str] = []

    def step(name: str, interrupt: bool = False) -> Step:
        def act() -> None:
            acts.append(name)
            if interrupt and acts.count(name) == 1:
                raise KeyboardInterrupt
            finished.add(name)

        return Step(name, 1, act, lambda: name in finished)

    steps = [step("a"), step("b", interrupt=True), step("c")]
    with pytest.raises(KeyboardInterrupt):
        walk(steps, lambda line: None)
    result = walk(steps, lambda line: None)
    assert acts == ["a", "b", "b", "c"]
    assert result.kept == ["a"]


def test_a_failure_names_step_log_and_remedy(tmp_path: Path) -> None:
    log = tmp_path / "go-kind.log"

    def act() -> None:
        raise LabError("go build", "exit code 1", "check the module proxy", log)

    with pytest.raises(StepFailed) as caught:
        walk([Step("compile kind", 5, act)], lambda line: None)
    for part in ("compile kind", "exit code 1", str(log), "check the module proxy"):
        assert part in caught.value.text


def test_a_failure_stops_the_walk() -> None:
    acts: list[str] = []

    def fail() -> None:
        raise LabError("a", "b", "c")

    with pytest.raises(StepFailed):
        walk([Step("x", 1, fail), Step("y", 1, lambda: acts.append("y"))], lambda line: None)
    assert acts == []


def test_progress_tells_expected_and_elapsed_time() -> None:
    ticks = iter([0.0, 7.0, 10.0, 42.0])
    said: list[str] = []
    walk([Step("one", 30, lambda: "port 8443")], said.append, clock=lambda: next(ticks))
    assert "about 30 s, 7 s so far" in said[0]
    assert "done in 32 s (port 8443)" in said[1]


def test_a_machine_without_go_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LabError) as caught:
        toolchain()
    assert "install Go" in caught.value.remedy


def test_a_failing_program_leaves_its_output_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    with pytest.raises(LabError) as caught:
        run(["sh", "-c", "echo seen; exit 3"], log=log, remedy="type this")
    assert caught.value.seen == "exit code 3"
    assert (caught.value.log, caught.value.remedy) == (log, "type this")
    assert log.read_text() == "seen\n"
