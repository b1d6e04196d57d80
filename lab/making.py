"""Steps that make things on this machine before there is a cluster: host packages, Go programs,
Debian roots, images. Each keeps what it made under its content's key.

Knows nothing of clusters, nor of which of these steps a lab needs; `lab.up` chooses.
"""

from collections.abc import Sequence
from pathlib import Path

from lab import packages, podman
from lab.gobuild import Component, build, fetch_modules, output_dir
from lab.images import Recipe
from lab.images.build import Workshop, archive_of, build_image
from lab.images.node import build_node_image, have_node_image
from lab.images.system import LOAD_BALANCER
from lab.rootfs import BASES, Base, make_base
from lab.steps import Step


def machine_steps(shop: Workshop) -> list[Step]:
    """What the machine itself lacks."""
    return [
        Step(
            "packages",
            40,
            lambda: packages.install(shop.log("apt")),
            lambda: not packages.missing(),
        ),
        Step("container engine", 1, _configure_engine),
    ]


def artefact_steps(
    shop: Workshop, parts: Sequence[Component], recipes: Sequence[Recipe]
) -> list[Step]:
    """Go programs, all Debian roots, and the images of these recipes, in this order."""
    return [
        _modules(shop, parts),
        *(_component(shop, part) for part in parts),
        *(_base(shop, base) for base in BASES.values()),
        *(_image(shop, recipe) for recipe in recipes),
    ]


def _configure_engine() -> None:
    podman.configure()
    Path("/lib/modules").mkdir(exist_ok=True)  # kind mounts it; a small machine may have none


def _modules(shop: Workshop, parts: Sequence[Component]) -> Step:
    def lacking() -> list[Component]:
        return [part for part in parts if not output_dir(part, shop.go_version).is_dir()]

    def act() -> None:
        fetch_modules(lacking(), shop.logs / "go-modules.log")

    return Step("Go modules", 60, act, lambda: not lacking())


def _component(shop: Workshop, part: Component) -> Step:
    log = shop.logs / f"go-{part.name}.log"

    def act() -> None:
        build(part, shop.go_version, log)

    return Step(
        f"compile {part.name}",
        part.expected_s,
        act,
        lambda: output_dir(part, shop.go_version).is_dir(),
    )


def _base(shop: Workshop, base: Base) -> Step:
    def act() -> None:
        make_base(base, shop.log(base.name))

    return Step(f"Debian {base.suite}", base.expected_s, act, base.folder.is_dir)


def _image(shop: Workshop, recipe: Recipe) -> Step:
    def act() -> None:
        build_image(recipe, shop)

    return Step(
        f"image {recipe.name}", recipe.expected_s, act, lambda: archive_of(recipe, shop).exists()
    )


def node_image(shop: Workshop) -> Step:
    return Step("node image", 70, lambda: build_node_image(shop), lambda: have_node_image(shop))


def load_balancer(shop: Workshop) -> Step:
    (reference,) = LOAD_BALANCER.references

    def act() -> None:
        podman.take_archive(build_image(LOAD_BALANCER, shop), reference)

    return Step("load balancer image", 15, act, lambda: podman.have_image(reference))
