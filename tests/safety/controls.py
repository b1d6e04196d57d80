"""Controls for R6 and R8: how others leave a target when they die or are told to stop.

The fault is the plainest that must be taken back, a cordoned node, held for a while on the same
fake API server. Stock Chaos Toolkit is the installed release with its own Kubernetes actions.
krkn is not installed: a script goes its way, which is a file on the runner's machine that says how
to undo, written before the act and carried out by the process itself, at its end or on SIGINT,
SIGTERM and SIGHUP (krkn/rollback/{signal,handler}.py), and later by people.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.faults import toolkit
from safety import signals, target
from safety.kills import GRACE_S, HOLD_S, TTL_S

HOLD_LONG_S = 30.0  # for signals: the fault must not end by itself meanwhile
START_S = 110.0
BACK_S = 10.0  # after a signal, more than ours is given; then it is left behind
NODE, LABEL = "worker-a", "topology.kubernetes.io/zone=zone-a"
KRKN_WAY = """
import json, os, signal, sys, threading, urllib.request
base, home, hold_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
def patch(value):
    body = json.dumps({"spec": {"unschedulable": value}}).encode()
    head = {"Content-Type": "application/merge-patch+json"}
    path = base + "/api/v1/nodes/worker-a"
    urllib.request.urlopen(urllib.request.Request(path, body, head, method="PATCH")).read()
def rollback(number=0, frame=None):
    path = os.path.join(home, "rollback.json")
    if os.path.exists(path):
        patch(json.load(open(path))["unschedulable"])
        os.remove(path)
        print("rolled back", flush=True)
    if number:
        sys.exit(128 + number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, rollback)
with open(os.path.join(home, "rollback.json"), "w") as file:
    json.dump({"unschedulable": None}, file)
patch(True)
threading.Event().wait(hold_s)
rollback()
"""


@dataclass
class Control:
    """What became of one tool's faults."""

    tool: str
    done: int = 0
    live: int = 0  # the fault was there when the process was hit
    left: list[str] = field(default_factory=list)


def _toolkit(strategy: str) -> Callable[[FakeApi, Path, float], list[str]]:
    def argv(api: FakeApi, folder: Path, hold_s: float) -> list[str]:
        def step(name: str, func: str) -> dict[str, Any]:
            provider = {"type": "python", "module": "chaosk8s.node.actions", "func": func,
                        "arguments": {"label_selector": LABEL}}  # fmt: skip
            return {"type": "action", "name": name, "provider": provider}

        method = [step("cordon", "cordon_node") | {"pauses": {"after": hold_s}}]
        content = {"title": "a cordon", "description": "held for a while", "method": method,
                   "rollbacks": [step("uncordon", "uncordon_node")]}  # fmt: skip
        path = folder / "experiment.json"
        path.write_text(json.dumps(content))
        return [
            sys.executable, "-m", "chaostoolkit", "--no-version-check", "--no-log-file", "run",
            "--journal-path", str(folder / "journal.json"), "--rollback-strategy", strategy,
            str(path),
        ]  # fmt: skip

    return argv


def _krkn_way(api: FakeApi, folder: Path, hold_s: float) -> list[str]:
    return [sys.executable, "-c", KRKN_WAY, f"http://{api.host}", str(folder), str(hold_s)]


TOOLS: dict[str, Callable[[FakeApi, Path, float], list[str]]] = {
    "Chaos Toolkit 1.21": _toolkit("default"),
    "Chaos Toolkit 1.21, rollbacks always": _toolkit("always"),
    "krkn's way": _krkn_way,
}


def kill(tool: str, count: int, seed: int) -> Control:
    """R6: SIGKILL at random moments; left behind is what is there after our own bar."""
    control = Control(tool)
    for number in range(count):
        after_s = random.Random(f"{seed}-{number}").uniform(0, 2 * HOLD_S)  # while it holds
        _play(control, f"kill {number}", 2 * HOLD_S, after_s, _kill, TTL_S + GRACE_S)
    return control


def stop(tool: str) -> Control:
    """R8: told to stop in each way, while the fault is there."""
    control = Control(tool)
    for way, act in signals.WAYS.items():
        _play(control, way, HOLD_LONG_S, 0.0, act, BACK_S)
    return control


def _kill(runner: subprocess.Popen[bytes]) -> None:
    runner.kill()


def _play(
    control: Control, label: str, hold_s: float, after_s: float,
    act: Callable[[subprocess.Popen[bytes]], None], most_s: float,
) -> None:  # fmt: skip
    """Begin, wait for the fault and `after_s` more, act, and look `most_s` later."""
    api = FakeApi()
    with tempfile.TemporaryDirectory() as folder:
        target.fresh(api)
        scene.write_profile(api, Path(folder))
        config = Path(folder) / "kubeconfig"
        content = yaml.safe_load(config.read_text())
        config.write_text(yaml.safe_dump(content | {"current-context": "fake"}))
        runner = subprocess.Popen(
            TOOLS[control.tool](api, Path(folder), hold_s), cwd=folder, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=toolkit.heed_interrupt,
            env=os.environ | {"KUBECONFIG": str(config)},
        )  # fmt: skip
        try:
            signals._until(lambda: cordoned(api) or runner.poll() is not None, START_S)
            assert cordoned(api), f"{control.tool} did not begin: {runner.communicate()[1]!r}"
            signals._until(lambda: runner.poll() is not None, after_s)
            control.live += cordoned(api)
            act(runner)
            signals._until(lambda: not cordoned(api), most_s)
            control.done += 1
            if cordoned(api):
                control.left.append(f"{label}: {NODE} stays cordoned")
        finally:
            runner.kill()
            runner.communicate() if runner.stdout and not runner.stdout.closed else runner.wait()
            api.close()


def cordoned(api: FakeApi) -> bool:
    """Whether the node is."""
    with api.store.lock:
        return bool(api.store.get(("nodes", "", NODE))["spec"].get("unschedulable"))
