"""OCI archives: every blob is what its name says, and every descriptor points to a blob that is
there.
"""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lab.oci import Entry, Image, ImageConfig, layer_of_entries, layer_of_folder, write_archive


def blobs_of(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        found = {}
        for member in tar.getmembers():
            stream = tar.extractfile(member)
            assert stream is not None
            assert member.name not in found, "a blob was written twice"
            found[member.name] = stream.read()
        return found


def check(archive: Path) -> list[dict[str, Any]]:
    """All manifests, after every digest and size was found true."""
    files = blobs_of(archive)
    for name, data in files.items():
        if name.startswith("blobs/sha256/"):
            assert hashlib.sha256(data).hexdigest() == name.rpartition("/")[2]

    def blob(descriptor: dict[str, Any]) -> bytes:
        data = files["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]
        assert len(data) == descriptor["size"]
        return data

    assert json.loads(files["oci-layout"])["imageLayoutVersion"] == "1.0.0"
    manifests = []
    for descriptor in json.loads(files["index.json"])["manifests"]:
        manifest = json.loads(blob(descriptor))
        config = json.loads(blob(manifest["config"]))
        assert [layer["digest"] for layer in manifest["layers"]] == config["rootfs"]["diff_ids"]
        for layer in manifest["layers"]:
            blob(layer)
        manifests.append({**descriptor, "config": config, "layers": manifest["layers"]})
    return manifests


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tool").write_text("#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o755)
    (root / "bin" / "other").symlink_to("tool")
    return root


def test_an_archive_is_whole(tmp_path: Path, folder: Path) -> None:
    layer = layer_of_folder(folder, tmp_path / "one.tar")
    config = ImageConfig(entrypoint=("/bin/tool",), user="1:1", env={"A": "b"})
    write_archive(tmp_path / "image.tar", [Image(("docker.io/lab/x:1",), (layer,), config)])
    (manifest,) = check(tmp_path / "image.tar")
    assert manifest["annotations"]["io.containerd.image.name"] == "docker.io/lab/x:1"
    assert manifest["annotations"]["org.opencontainers.image.ref.name"] == "1"
    assert manifest["config"]["config"]["Entrypoint"] == ["/bin/tool"]
    assert manifest["config"]["config"]["User"] == "1:1"
    assert "A=b" in manifest["config"]["config"]["Env"]


def test_a_shared_layer_is_written_once(tmp_path: Path, folder: Path) -> None:
    base = layer_of_folder(folder, tmp_path / "base.tar")
    tops = []
    for name in ("x", "y"):
        (tmp_path / name).write_text(name)
        entry = Entry(f"/app/{name}", tmp_path / name)
        tops.append(layer_of_entries([entry], tmp_path / f"{name}.tar"))
    images = [
        Image((f"lab/{n}:1", f"lab/{n}:2"), (base, top), ImageConfig())
        for n, top in zip("xy", tops, strict=True)
    ]
    write_archive(tmp_path / "all.tar", images)
    manifests = check(tmp_path / "all.tar")
    assert len(manifests) == 4
    assert len({layer["digest"] for m in manifests for layer in m["layers"]}) == 3


def test_a_damaged_blob_is_noticed(tmp_path: Path, folder: Path) -> None:
    layer = layer_of_folder(folder, tmp_path / "one.tar")
    write_archive(tmp_path / "image.tar", [Image(("lab/x:1",), (layer,), ImageConfig())])
    raw = (tmp_path / "image.tar").read_bytes()
    (tmp_path / "image.tar").write_bytes(raw.replace(b"#!/bin/sh", b"#!/bin/ed"))
    with pytest.raises(AssertionError):
        check(tmp_path / "image.tar")


def test_entries_become_files_links_and_parents(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("x")
    entries = [
        Entry("/usr/local/bin/program", tmp_path / "program", 0o755),
        Entry("/usr/local/bin/alias", link="program"),
    ]
    layer = layer_of_entries(entries, tmp_path / "layer.tar")
    with tarfile.open(layer.path) as tar:
        members = {member.name: member for member in tar.getmembers()}
    assert members["usr/local/bin"].isdir()
    assert members["usr/local/bin/program"].mode == 0o755
    assert members["usr/local/bin/alias"].linkname == "program"
    assert members["tmp"].mode == 0o1777


def test_an_entry_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither source nor link"):
        layer_of_entries([Entry("/x")], tmp_path / "layer.tar")
