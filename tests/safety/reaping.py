"""The reaper as its Job runs it: a bare Python without this project, told by its environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.faults import reaper
from acpchaos.target.kinds import KINDS


def start(
    api: FakeApi, run: str, *, once: bool = False, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """-I -S: neither this project nor any installed package can be imported. `env` adds to or
    replaces what it is told."""
    own = {
        "ACPCHAOS_API": f"http://{api.host}",
        "ACPCHAOS_RUN": run,
        "ACPCHAOS_NAMESPACE": scene.NAMESPACE,
        "ACPCHAOS_RECORD": f"acpchaos-undo-{run}",
        "ACPCHAOS_KINDS": json.dumps(KINDS),
        "ACPCHAOS_ONCE": "yes" if once else "",
        "PATH": os.environ["PATH"],
    }
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(reaper.__file__))], env=own | (env or {}), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
