"""Content keys: equal content, equal key; any change that matters, another key."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lab.gobuild import KUBERNETES_VERSION, Component, component, key_of
from lab.images import Recipe, all_recipes
from lab.images.build import Workshop, image_key
from lab.oci import ImageConfig
from lab.paths import content_key, files_under
from lab.rootfs import TRIXIE

SHOP = Workshop("go1.26", Path("/nowhere"))


def test_the_key_depends_on_content_not_on_order_or_age(tmp_path: Path) -> None:
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_text("1")
    two.write_text("2")
    before = content_key([one, two])
    two.touch()
    assert content_key([two, one]) == before
    two.write_text("3")
    assert content_key([one, two]) != before


def test_a_component_is_built_again_for_another_toolchain_or_flag() -> None:
    kind = component("kind")
    keys = {
        key_of(kind, "go1.26"),
        key_of(kind, "go1.27"),
        key_of(replace(kind, ldflags=""), "go1.26"),
        key_of(replace(kind, outputs=(("kind", "elsewhere"),)), "go1.26"),
    }
    assert len(keys) == 4


@pytest.mark.parametrize("name", ["kubernetes", "node", "kind", "contour", "storage"])
def test_every_component_is_pinned(name: str) -> None:
    part: Component = component(name)
    assert (part.folder / "go.mod").exists()
    assert (part.folder / "go.sum").exists()


def test_every_program_of_an_image_is_an_output_of_its_component() -> None:
    for recipe in all_recipes().values():
        for program in recipe.binaries:
            outputs = dict(component(program.component).outputs)
            assert program.output in outputs, f"{recipe.name}: {program}"


def test_what_kubernetes_shares_its_packages_with_does_not_lift_its_versions() -> None:
    text = (component("kubernetes").folder / "go.mod").read_text()
    kept, refused = text.split("exclude (")
    versions = dict(re.findall(r"^\t(\S+) (v\S+)", kept, re.MULTILINE))
    excluded = re.findall(r"^\t(\S+) (v\S+)", refused, re.MULTILINE)
    assert excluded
    for module, version in excluded:
        assert release(versions[module]) < release(version), module
    for module in ("k8s.io/client-go", "k8s.io/apimachinery", "k8s.io/apiserver"):
        assert versions[module] == KUBERNETES_VERSION.replace("v1.", "v0.", 1)
    for name in ("storage", "coredns", "metrics-server"):
        assert component(name).folder == component("kubernetes").folder


def release(version: str) -> tuple[list[int], str]:
    """A module's version in the order of Go: numbers, then the time of a commit."""
    numbers, _, commit = version.removeprefix("v").partition("-")
    return [int(number) for number in numbers.split(".")], commit


def test_byte_code_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_text("")
    (tmp_path / "x.py").write_text("")
    assert files_under(tmp_path) == [tmp_path / "x.py"]


def test_an_image_key_follows_code_packages_and_configuration(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("one")
    recipe = Recipe("x", ("docker.io/lab/x:1",), base=TRIXIE, sources=((tmp_path, "/opt"),))
    first = image_key(recipe, SHOP)
    assert image_key(recipe, SHOP) == first
    assert image_key(replace(recipe, packages=("curl",)), SHOP) != first
    assert image_key(replace(recipe, config=ImageConfig(user="1")), SHOP) != first
    (tmp_path / "server.py").write_text("two")
    assert image_key(recipe, SHOP) != first
