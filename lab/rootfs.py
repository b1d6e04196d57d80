"""Root file systems: Debian by debootstrap, kept as folders keyed by suite and package list.

Why folders: an image layer is the difference between two folders, and the same base serves several
images. Bookworm is for kind nodes (a later systemd refuses cgroup v1), trixie for everything that
runs in pods. Knows nothing of images.
"""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.paths import artefact_dir, content_key
from lab.process import LabError, read, run

_NEVER_START = "#!/bin/sh\nexit 101\n"
_REMEDY = "the Debian mirror of this machine's own apt sources must answer; then run it again"
_DROP = ("var/cache/apt/archives/*.deb", "var/cache/apt/*.bin", "var/lib/apt/lists/*")
_DROP_TEXT = ("usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "var/log/*.log")


@dataclass(frozen=True)
class Base:
    """A Debian root: suite, what debootstrap includes, what apt adds afterwards."""

    name: str
    suite: str
    include: tuple[str, ...]
    expected_s: int

    @property
    def key(self) -> str:
        return content_key([], "debootstrap minbase 3", self.suite, *sorted(self.include))

    @property
    def folder(self) -> Path:
        return artefact_dir("rootfs", self.name, self.key)


NODE_PACKAGES = (
    "systemd systemd-sysv dbus iproute2 iptables nftables ipset conntrack ethtool socat kmod jq"
    " libseccomp2 mount util-linux procps hostname ca-certificates runc curl iputils-ping"
)
BOOKWORM = Base("bookworm", "bookworm", tuple(NODE_PACKAGES.split()), expected_s=70)
TRIXIE = Base("trixie", "trixie", ("ca-certificates", "openssl"), expected_s=45)
BASES = {base.name: base for base in (BOOKWORM, TRIXIE)}


def make_base(base: Base, log: Path) -> Path:
    """Debootstrap a base, or return the folder of a finished one."""
    if base.folder.is_dir():
        return base.folder
    draft = _draft_of(base.folder)
    run(
        [
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(base.include)}",
            base.suite,
            draft,
            _mirror(),
        ],
        log=log,
        remedy=_REMEDY,
    )
    slim(draft)
    draft.rename(base.folder)
    return base.folder


def add_packages(root: Path, packages: Sequence[str], log: Path) -> None:
    """Install Debian packages into a root folder, starting no service and keeping no apt
    leftovers.
    """
    with _ready_for_apt(root):
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        apt = ["chroot", str(root), "apt-get", "-q", "-o", "DPkg::Options::=--force-unsafe-io"]
        run([*apt, "update"], log=log, env=env, remedy=_REMEDY)
        run(
            [*apt, "install", "-y", "--no-install-recommends", *packages],
            log=log,
            env=env,
            remedy=_REMEDY,
        )
    slim(root)


def copy_root(source: Path, target: Path) -> None:
    """A copy with owners, modes and hard links kept; `target` must not exist."""
    run(["cp", "-a", "--reflink=auto", source, target])


def slim(root: Path) -> None:
    for pattern in (*_DROP, *_DROP_TEXT):
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _draft_of(folder: Path) -> Path:
    """A clean place beside the final one; what a stopped run left mounted there is let go first."""
    draft = folder.with_name(folder.name + ".draft")
    release_mounts(draft)
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(parents=True, exist_ok=True)
    return draft


def release_mounts(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in sorted(mounts, reverse=True):
        if point.startswith(f"{folder}/"):
            run(["umount", "--lazy", point])


def _mirror() -> str:
    """The mirror this machine itself uses, so that no host is named here."""
    listing = read(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"])
    debian = [line for line in listing.split() if line.rstrip("/").endswith("/debian")]
    if not debian:
        raise LabError(
            "find this machine's Debian mirror",
            f"apt knows {len(set(listing.split()))} sources, none of them ends in /debian",
            "add a Debian source to apt, run apt-get update, then the same command again",
        )
    return debian[0]


@contextlib.contextmanager
def _ready_for_apt(root: Path) -> Iterator[None]:
    """Name resolution, the host's apt settings and /proc inside; service starts refused."""
    refusal = root / "usr/sbin/policy-rc.d"
    added = _borrow_apt_settings(root)
    refusal.write_text(_NEVER_START)
    refusal.chmod(0o755)
    run(["mount", "-t", "proc", "proc", root / "proc"])
    try:
        yield
    finally:
        run(["umount", root / "proc"])
        refusal.unlink()
        for path in added:
            path.unlink(missing_ok=True)


def _borrow_apt_settings(root: Path) -> list[Path]:
    """Copy resolv.conf and apt.conf.d of the host; returns what must go again afterwards."""
    added: list[Path] = []
    sources = [Path("/etc/resolv.conf"), *Path("/etc/apt/apt.conf.d").glob("*")]
    for source in sources:
        target = root / source.relative_to("/")
        if source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
            added.append(target)
    return added
