"""The disk of a Redis node: where it lies, how full it is, and a file that fills it for a while.

Room: stores. The file goes by itself after its time, whatever becomes of the one who asked; until
then anyone may take it away. The password stays in the pod's environment.
"""

from typing import NamedTuple

from acpchaos.stores.exec import Exec

FILE = "acpchaos-full"
_CLIENT = (
    'export REDISCLI_AUTH="${REDISCLI_AUTH:-$REDIS_PASSWORD}"; '
    "echo CONFIG GET dir | redis-cli --tls --insecure 2>/dev/null | tail -n 1"
)
_LOOK = f'cd "$({_CLIENT})" && df -Pk . | tail -n 1 && pwd && if [ -e {FILE} ]; then echo full; fi'
_FILL = (
    f'cd "$0" && (sleep "$1"; rm -f {FILE}) >/dev/null 2>&1 & '
    f'cd "$0" && dd if=/dev/zero of={FILE} bs=1024k count="$2" 2>/dev/null; sync; true'
)


class Disk(NamedTuple):
    """`mount` is where the file system begins, `folder` where Redis writes; sizes in KiB."""

    size_kib: int
    free_kib: int
    mount: str
    folder: str
    filled: bool  # by a file of ours

    @property
    def own(self) -> bool:
        """Whether the folder is a file system of its own."""
        return self.mount == self.folder != "/"


def look(run: Exec, pod: str, container: str) -> Disk:
    """The file system that a node writes to; CommandFailed when it does not tell."""
    lines = run(pod, container, ("sh", "-c", _LOOK), timeout_s=15.0).splitlines()
    facts, folder = lines[0].split(), lines[1].strip()
    return Disk(int(facts[1]), int(facts[3]), facts[5], folder, lines[2:] == ["full"])


def fill(run: Exec, pod: str, container: str, disk: Disk, hold_s: int) -> None:
    """Take what is free, and no more than that was; gone after `hold_s` seconds."""
    most_mib = disk.free_kib // 1024 + 1
    argv = ("sh", "-c", _FILL, disk.folder, str(hold_s), str(most_mib))
    run(pod, container, argv, timeout_s=120.0)


def empty(run: Exec, pod: str, container: str, folder: str) -> None:
    """Take the file away."""
    run(pod, container, ("rm", "-f", f"{folder}/{FILE}"), timeout_s=15.0)
