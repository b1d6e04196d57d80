"""Recipes: what each image is made of. A recipe is data; `lab.images.build` turns it into an OCI
archive.

To add an image, add a Recipe to `system.py` (baked into the node image) or `apps.py` (loaded into a
running cluster).
"""

from dataclasses import dataclass, field
from pathlib import Path

from lab.oci import Entry, ImageConfig
from lab.rootfs import Base


@dataclass(frozen=True)
class Binary:
    """One program of a Go component: which, and where it goes in the image."""

    component: str
    output: str
    target: str


@dataclass(frozen=True)
class Recipe:
    """An image: at most two layers below (base, packages and wheels) and one of programs and files
    on top.

    `requirements` is a locked pip file, installed to /opt/site for the Python of the base.
    `sources` are folders of this project, as (folder, target). `prepared` files are put in before
    packages are installed (package settings).
    """

    name: str
    references: tuple[str, ...]
    base: Base | None = None
    packages: tuple[str, ...] = ()
    prepared: tuple[tuple[str, str], ...] = ()
    requirements: Path | None = None
    python: str = "3.13"
    binaries: tuple[Binary, ...] = ()
    sources: tuple[tuple[Path, str], ...] = ()
    files: tuple[Entry, ...] = ()
    config: ImageConfig = field(default_factory=ImageConfig)
    expected_s: int = 10


def all_recipes() -> dict[str, Recipe]:
    """Every recipe by name."""
    from lab.images.apps import APPS
    from lab.images.system import SYSTEM

    return {recipe.name: recipe for recipe in (*SYSTEM, *APPS)}
