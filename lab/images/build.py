"""From recipe to OCI archive. Each layer is keyed by what goes in, so a code change costs only the
top layer.

Knows recipes, roots and Go artefacts; knows nothing of clusters.
"""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.gobuild import component, output_dir
from lab.images import Recipe
from lab.oci import Entry, Image, Layer, layer_of_entries, layer_of_folder, write_archive
from lab.paths import artefact_dir, content_key, files_under
from lab.process import run
from lab.rootfs import Base, add_packages, copy_root, make_base, release_mounts

_REMEDY = "the Python package index must answer; then run the same command again"


@dataclass(frozen=True)
class Workshop:
    """What every build needs to know: the Go toolchain the programs came from, and where to log."""

    go_version: str
    logs: Path

    def log(self, name: str) -> Path:
        return self.logs / f"image-{name}.log"


def image_key(recipe: Recipe, shop: Workshop) -> str:
    """Key of the finished archive: all layers and the configuration."""
    return content_key(
        [],
        _root_key(recipe),
        _top_key(recipe, shop),
        repr(recipe.config),
        *recipe.references,
    )


def archive_of(recipe: Recipe, shop: Workshop) -> Path:
    return artefact_dir("images", recipe.name, image_key(recipe, shop)) / "image.tar"


def build_image(recipe: Recipe, shop: Workshop) -> Path:
    """The archive of a recipe, built when its content changed."""
    archive = archive_of(recipe, shop)
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    write_archive(archive, [image_of(recipe, shop)])
    return archive


def image_of(recipe: Recipe, shop: Workshop) -> Image:
    """All layers of a recipe, built when missing, with its names and configuration."""
    layers = (*lower_layers(recipe, shop), *_top_layer(recipe, shop))
    return Image(recipe.references, layers, recipe.config)


def lower_layers(recipe: Recipe, shop: Workshop) -> list[Layer]:
    """The base as it is (shared by images), or the base with packages and wheels in one layer."""
    if recipe.base is None:
        return []
    if not recipe.packages:
        wheels = [_wheel_layer(recipe, shop)] if recipe.requirements else []
        return [_base_layer(recipe.base, shop), *wheels]
    key = _root_key(recipe)

    def fill(root: Path) -> None:
        root.rmdir()
        copy_root(make_base(_known(recipe.base), shop.log(recipe.name)), root)
        for target, text in recipe.prepared:
            path = root / target.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        add_packages(root, recipe.packages, shop.log(recipe.name))
        _install_wheels(recipe, root, shop)

    return [_folder_layer(recipe.name, key, fill)]


def _known(base: Base | None) -> Base:
    if base is None:
        raise ValueError("this recipe has no base")
    return base


def _base_layer(base: Base, shop: Workshop) -> Layer:
    out = artefact_dir("layers", base.name, base.key) / "layer.tar"
    if not out.with_suffix(".sha256").exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        layer_of_folder(make_base(base, shop.log(base.name)), out)
    return Layer(out)


def _wheel_layer(recipe: Recipe, shop: Workshop) -> Layer:
    requirements = _known_file(recipe.requirements)
    key = content_key([requirements], recipe.python)
    return _folder_layer(
        f"{requirements.stem}-wheels", key, lambda root: _install_wheels(recipe, root, shop)
    )


def _known_file(path: Path | None) -> Path:
    if path is None:
        raise ValueError("this recipe has no requirements file")
    return path


def _folder_layer(name: str, key: str, fill: Callable[[Path], None]) -> Layer:
    """A layer made by filling a folder; the folder goes, the tar stays."""
    out = artefact_dir("layers", name, key) / "layer.tar"
    if not out.with_suffix(".sha256").exists():
        root = out.parent / "root"
        release_mounts(root)
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        root.chmod(0o755)
        fill(root)
        layer_of_folder(root, out)
        shutil.rmtree(root)
    return Layer(out)


def _install_wheels(recipe: Recipe, root: Path, shop: Workshop) -> None:
    if recipe.requirements is None:
        return
    argv: list[str | Path] = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    argv += ["--disable-pip-version-check", "--root-user-action=ignore", "--no-deps"]
    argv += ["--only-binary=:all:", f"--python-version={recipe.python}"]
    argv += ["--target", root / "opt" / "site", "-r", recipe.requirements]
    run(argv, log=shop.log(recipe.name), remedy=_REMEDY)


def _top_entries(recipe: Recipe, shop: Workshop) -> list[Entry]:
    programs = [
        Entry(
            each.target, output_dir(component(each.component), shop.go_version) / each.output, 0o755
        )
        for each in recipe.binaries
    ]
    sources = [
        Entry(f"{target}/{path.relative_to(folder)}", path)
        for folder, target in recipe.sources
        for path in files_under(folder)
    ]
    return [*programs, *sources, *recipe.files]


def _top_layer(recipe: Recipe, shop: Workshop) -> list[Layer]:
    entries = _top_entries(recipe, shop)
    if not entries:
        return []
    folder = artefact_dir("layers", f"{recipe.name}-top", _top_key(recipe, shop))
    folder.mkdir(parents=True, exist_ok=True)
    return [layer_of_entries(entries, folder / "layer.tar")]


def _root_key(recipe: Recipe) -> str:
    if recipe.base is None:
        return ""
    files = [recipe.requirements] if recipe.requirements else []
    return content_key(
        files, recipe.base.key, *sorted(recipe.packages), repr(recipe.prepared), recipe.python
    )


def _top_key(recipe: Recipe, shop: Workshop) -> str:
    sources = [path for folder, _ in recipe.sources for path in files_under(folder)]
    entries = _top_entries(recipe, shop)
    words = [f"{entry.target} {entry.link} {entry.mode}" for entry in entries]
    # a program's path names the key of the component it was built from
    words += [str(entry.source) for entry in entries[: len(recipe.binaries)]]
    return content_key(sources, *words)
