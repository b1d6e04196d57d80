"""Brings one frozen or stopped node back at its deadline, whatever became of who disturbed it.

Room: faults, but it knows no other module: a bare Python runs it on the machine of the container
engine, apart from the process that started it. Its one argument is its record; it ends when that is
gone, since the node was brought back by someone else then. It says that it lives, and how often it
has looked, in the file of the same name that ends in .beat.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from typing import Any

EVERY_S = 0.25
CALL_S = 60
TRIES = 240  # at the deadline, a second apart


def main(path: str) -> int:
    """Look until the record is gone or its deadline has come; then act until the node is back."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123  # a bare Python
        watched = json.load(file)["watched"]
    # the clock of the machine may be set meanwhile, so it is read only once
    due_s = time.monotonic() + watched["due"] - time.time()
    looks = 0
    while time.monotonic() < due_s:
        if not os.path.exists(path):  # noqa: PTH110
            return 0
        looks += 1
        _beat(path, looks)
        time.sleep(min(EVERY_S, max(0.0, due_s - time.monotonic())))  # noqa: TID251  # bare Python
    for _ in range(TRIES):
        if not os.path.exists(path):  # noqa: PTH110
            return 0
        if _back(watched):
            return 0
        time.sleep(1)  # noqa: TID251
    print(f"gave up: {watched['look']}", flush=True)
    return 1


def _back(watched: dict[str, Any]) -> bool:
    """One try; whether the node is back, or is another one now. Where nobody here can look, it is
    when every step has said something, which those do that succeeded."""
    if not watched["look"]:
        return all(_say(watched, argv) for argv in watched["steps"])
    identity, _, status = _say(watched, watched["look"]).strip().partition(" ")
    if identity and identity != watched["id"]:
        return True
    if not identity:
        return False
    disturbed = [watched["status"]] if watched["status"] else None
    if status in disturbed if disturbed else status not in ("running", "paused"):
        for argv in watched["steps"]:
            _say(watched, argv)
        return False  # look again
    print("the node is back", flush=True)
    return True


def _say(watched: dict[str, Any], argv: list[str]) -> str:
    try:
        done = subprocess.run(
            argv, env={**os.environ, **watched["environment"]}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=CALL_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{argv}: {error}", flush=True)
        return ""
    if done.returncode:
        print(f"{argv}: {done.stderr.strip()[-300:]}", flush=True)
    return str(done.stdout) if not done.returncode else ""


def _beat(path: str, looks: int) -> None:
    name = path.rpartition(".")[0]
    with open(f"{name}.beat.draft", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(f"{os.getpid()} {looks}")
    os.replace(f"{name}.beat.draft", f"{name}.beat")  # noqa: PTH105


if __name__ == "__main__":
    if os.fork():
        os._exit(0)  # whoever started it need not wait for it
    try:
        sys.exit(main(sys.argv[1]))
    finally:
        if not os.path.exists(sys.argv[1]):  # noqa: PTH110
            for end in (".beat", ".log"):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(sys.argv[1].rpartition(".")[0] + end)  # noqa: PTH107
