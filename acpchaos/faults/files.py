"""A file of this machine changed for a while, and put back as it was.

Room: faults. For what no object of the cluster holds, such as the lab's file of encryption
providers. What the file held lies beside it, so that any later process on the same machine can put
it back; the record in the cluster names machine and file, and no content.
"""

import os
import shutil
import socket
from pathlib import Path
from typing import Any

from acpchaos.errors import PreconditionUnmet
from acpchaos.target.cluster import Cluster

Change = dict[str, Any]
KEPT = ".acpchaos-kept"
_DRAFT = ".acpchaos-draft"


def change_file(path: Path) -> Change:
    """This file will be changed by `write_file`."""
    return {"kind": "file", "name": str(path.absolute()), "host": socket.gethostname()}


def write_file(change: Change, text: str) -> None:
    """Another content with the same owner and mode, in one step; what it held is kept first."""
    path, kept = _places(change)
    if not kept.exists():
        _copied(path, kept)
    _copied(path, draft := Path(f"{path}{_DRAFT}"))
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _copied(path: Path, to: Path) -> None:
    draft = Path(f"{to}{_DRAFT}")
    shutil.copy2(path, draft)
    owner = path.stat()
    os.chown(draft, owner.st_uid, owner.st_gid)
    draft.replace(to)


def restore_file(cluster: Cluster, run_id: str, change: Change) -> None:
    """The way back of `change_file`; nothing to do where nothing was kept."""
    path, kept = _places(change)
    if kept.exists():
        kept.replace(path)


def file_restored(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether nothing is kept beside the file any more."""
    return not _places(change)[1].exists()


def _places(change: Change) -> tuple[Path, Path]:
    """(the file, what it held), on the machine where it lies; PreconditionUnmet elsewhere."""
    if change["host"] != socket.gethostname():
        seen = f"it lies on {change['host']}, this is {socket.gethostname()}"
        raise PreconditionUnmet(f"put back {change['name']}", seen, "undo on that machine")
    return Path(change["name"]), Path(f"{change['name']}{KEPT}")
