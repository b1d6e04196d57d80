"""OCI image archives: layers made from folders or file lists, put together with a configuration
into one tar file.

Why own code: no image registry and no image builder is at hand, and the format is small. Knows
nothing of Debian, of Go or of clusters. Layers are plain tar, since they never leave this machine.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Layer:
    """A layer tar; its digest lies beside it, so that big ones are hashed once."""

    path: Path

    @property
    def digest(self) -> str:
        return self.path.with_suffix(".sha256").read_text()

    @property
    def size(self) -> int:
        return self.path.stat().st_size


@dataclass(frozen=True)
class ImageConfig:
    """What a container of the image runs, as whom, and with which environment."""

    entrypoint: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    env: Mapping[str, str] = field(default_factory=dict)

    def document(self, layers: Sequence[Layer]) -> dict[str, object]:
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **self.env}
        return {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Entrypoint": list(self.entrypoint),
                "User": self.user,
                "WorkingDir": self.workdir,
                "Env": [f"{name}={value}" for name, value in env.items()],
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }


@dataclass(frozen=True)
class Entry:
    """One file of a file-list layer: bytes from `source` (or a link to `link`) at `target`."""

    target: str
    source: Path | None = None
    mode: int = 0o644
    link: str = ""


def layer_of_folder(root: Path, out: Path) -> Layer:
    """All of a folder as a layer; owners, modes, links and order are kept reproducible by tar."""
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(root, arcname=".", recursive=True)
    return _sealed(out)


def layer_of_entries(entries: Sequence[Entry], out: Path) -> Layer:
    """A file list as a layer, owned by root, with its parent folders and a /tmp for all."""
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        for folder in _parents(entries):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(info)
        for entry in entries:
            _add(tar, entry)
    return _sealed(out)


@dataclass(frozen=True)
class Image:
    """Layers, configuration and all names of one image."""

    references: tuple[str, ...]
    layers: tuple[Layer, ...]
    config: ImageConfig


def write_archive(out: Path, images: Sequence[Image]) -> None:
    """One OCI archive of several images under all their names; a layer they share is written
    once.
    """
    blobs: dict[str, bytes] = {}
    layers: dict[str, Layer] = {}
    index: list[dict[str, object]] = []
    for image in images:
        layers |= {layer.digest: layer for layer in image.layers}
        config = _json(image.config.document(image.layers))
        manifest = _json(_manifest(image.layers, config))
        blobs |= {_digest(config): config, _digest(manifest): manifest}
        index += [_index_entry(manifest, reference) for reference in image.references]
    draft = out.with_suffix(".draft")
    with tarfile.open(draft, "w") as tar:
        for digest, layer in layers.items():
            info = tarfile.TarInfo(_blob_name(digest))
            info.size = layer.size
            with layer.path.open("rb") as stream:
                tar.addfile(info, stream)
        for digest, blob in blobs.items():
            _add_bytes(tar, _blob_name(digest), blob)
        _add_bytes(tar, "index.json", _json({"schemaVersion": 2, "manifests": index}))
        _add_bytes(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    draft.rename(out)


def _manifest(layers: Sequence[Layer], config: bytes) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _descriptor(_CONFIG, config),
        "layers": [
            {"mediaType": _LAYER, "digest": layer.digest, "size": layer.size} for layer in layers
        ],
    }


def _index_entry(manifest: bytes, reference: str) -> dict[str, object]:
    names = {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": reference.rsplit(":", 1)[-1],
    }
    return {**_descriptor(_MANIFEST, manifest), "annotations": names}


def _sealed(path: Path) -> Layer:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    path.with_suffix(".sha256").write_text(f"sha256:{digest.hexdigest()}")
    return Layer(path)


def _parents(entries: Sequence[Entry]) -> list[str]:
    found = {"tmp"}
    for entry in entries:
        found.update(str(p) for p in Path(entry.target.lstrip("/")).parents if str(p) != ".")
    return sorted(found)


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.target.lstrip("/"))
    info.mode = entry.mode
    if entry.link:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
        tar.addfile(info)
        return
    if entry.source is None:
        raise ValueError(f"{entry.target} has neither source nor link")
    info.size = entry.source.stat().st_size
    with entry.source.open("rb") as stream:
        tar.addfile(info, stream)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _blob_name(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}
