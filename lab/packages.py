"""Debian packages that the host needs for the lab: the container engine, and what makes root file
systems and networks.
"""

import os
import shutil
from pathlib import Path

from lab.process import LabError, run

# program that proves presence -> package
NEEDED = {
    "podman": "podman",
    "runc": "runc",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "nft": "nftables",
    "ipset": "ipset",
    "debootstrap": "debootstrap",
}
ALSO = ("netavark", "aardvark-dns")
_SBIN = "/usr/sbin:/sbin:/usr/lib/podman"


def missing() -> list[str]:
    """Packages whose program is not there."""
    path = f"{os.environ.get('PATH', '')}:{_SBIN}"
    lacking = [
        package for program, package in NEEDED.items() if not shutil.which(program, path=path)
    ]
    lacking += [name for name in ALSO if not Path("/usr/lib/podman", name).exists()]
    return lacking


def install(log: Path) -> str:
    lacking = missing()
    if os.geteuid() != 0:
        raise LabError(
            "install packages", "not root", f"as root: apt-get install {' '.join(lacking)}"
        )
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    remedy = "apt must reach its mirror (apt-get update); then run the same command again"
    run(["apt-get", "update", "-q"], log=log, env=env, remedy=remedy)
    run(
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", *lacking],
        log=log,
        env=env,
        remedy=remedy,
    )
    return " ".join(lacking)
