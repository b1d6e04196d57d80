"""Go modules are fetched for all components at a time, and only for what is not compiled yet."""

import os
from pathlib import Path

import pytest

from lab import making
from lab.gobuild import Component, component, fetch_modules, output_dir
from lab.images.build import Workshop
from lab.process import LabError

# a `go` that ends well only once as many others have begun as it is told
MEETING = """#!/bin/sh
echo "$PWD $*" >> "$MET/calls"
touch "$MET/$$"
for turn in $(seq "${TURNS:-600}"); do
  [ "$(ls "$MET" | grep -c '^[0-9]')" -ge "$GUESTS" ] && exit 0
  sleep 0.1
done
echo "fetched alone"; exit 1
"""


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder in which the fake `go` keeps its calls."""
    program, met = tmp_path / "bin" / "go", tmp_path / "met"
    program.parent.mkdir()
    met.mkdir()
    program.write_text(MEETING)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("MET", str(met))
    return met


def test_no_component_waits_for_the_modules_of_another(
    go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [component(name) for name in ("kubernetes", "node", "contour")]
    monkeypatch.setenv("GUESTS", "3")
    fetch_modules(parts, tmp_path / "log")
    calls = (go / "calls").read_text().splitlines()
    assert {Path(call.split()[0]) for call in calls} == {part.folder for part in parts}
    for part in parts:
        (call,) = (each for each in calls if each.startswith(f"{part.folder} "))
        assert call.endswith(" ".join(package for _, package in part.outputs))


def test_modules_that_cannot_be_fetched_fail_the_step_with_its_log(
    go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUESTS", "2")  # only one comes
    monkeypatch.setenv("TURNS", "1")
    with pytest.raises(LabError) as caught:
        fetch_modules([component("pause")], tmp_path / "log")
    assert caught.value.log == tmp_path / "log"
    assert (tmp_path / "log").read_text() == "fetched alone\n"


def test_what_is_compiled_needs_no_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACPCHAOS_CACHE", str(tmp_path))
    shop = Workshop("go1.26", tmp_path)
    parts = [component("pause"), component("kind")]
    fetched: list[list[Component]] = []
    monkeypatch.setattr(making, "fetch_modules", lambda parts, log: fetched.append(list(parts)))
    step = making.artefact_steps(shop, parts, [])[0]
    assert step.name == "Go modules"
    output_dir(parts[0], shop.go_version).mkdir(parents=True)
    assert not step.done()
    step.act()
    assert fetched == [[parts[1]]]
    output_dir(parts[1], shop.go_version).mkdir(parents=True)
    assert step.done()
