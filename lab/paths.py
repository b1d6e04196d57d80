"""Where the lab keeps things on this machine. One cache folder, one state folder per cluster,
nothing anywhere else.

Everything under `artefacts` is named after the content it was made from and may be deleted at any
time; everything under `lab/<cluster>` belongs to one cluster and goes with it, the secrets
included.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LAB_DIR = Path(__file__).parent
PROJECT_DIR = LAB_DIR.parent
CLUSTER_NAME = "acpchaos"


def cache_dir() -> Path:
    """The one folder that outlives a cluster: `$ACPCHAOS_CACHE`, else `~/.cache/acpchaos`."""
    chosen = os.environ.get("ACPCHAOS_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "acpchaos"


@dataclass(frozen=True)
class State:
    """The files of one cluster."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def state_file(self) -> Path:
        return self.root / "state.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def ca_file(self) -> Path:
        return self.root / "lab-ca.crt"


def state_of(cluster: str = CLUSTER_NAME) -> State:
    return State(cache_dir() / "lab" / cluster)


def artefact_dir(kind: str, name: str, key: str) -> Path:
    """Folder of one artefact; 16 hex digits of the key are enough to tell versions apart."""
    return cache_dir() / "artefacts" / kind / f"{name}-{key[:16]}"


def content_key(files: Iterable[Path], *words: str) -> str:
    """sha256 over file contents (and modes and relative names) and words. Order of files does not
    matter.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        name = path.relative_to(PROJECT_DIR) if path.is_relative_to(PROJECT_DIR) else path
        executable = bool(path.stat().st_mode & 0o100)
        digest.update(f"file {name} {executable}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for word in words:
        digest.update(f"word {word}\0".encode())
    return digest.hexdigest()


def files_under(folder: Path) -> list[Path]:
    """All regular files of a source folder, without what Python leaves behind."""
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
