"""The fake engine's program: nodes are folders, commands in them run for real against fakes of what
a node has. Run by a bare Python; FAKE_ENGINE is the folder of everything.

spoil.json: `deaf` verbs answer and do nothing, `failing` ones fail; `instead` maps a container to
the one that is hit in its place by what changes something.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HOME = Path(os.environ.get("FAKE_ENGINE") or "/nowhere")
CHANGING = ("pause", "unpause", "stop", "start", "network")


def fail(said: str) -> None:
    print(f"Error: {said}", file=sys.stderr)
    sys.exit(125)


def folder(name: str) -> Path:
    path = HOME / name
    if not (path / "meta.json").exists():
        fail(f'no such container "{name}"')
    return path


def meta(path: Path) -> dict:
    return json.loads((path / "meta.json").read_text())


def save(path: Path, content: dict) -> None:
    (path / "meta.draft").write_text(json.dumps(content))
    (path / "meta.draft").replace(path / "meta.json")


def inspect(words: list[str]) -> None:
    found = meta(folder(words[-1]))
    if "--format" in words:
        print(found["Id"], found["Status"])
        return
    networks = {"kind": {"IPAddress": found["Address"]}}
    print(json.dumps([{
        "Id": found["Id"], "State": {"Status": found["Status"]},
        "Config": {"Labels": found["Labels"]}, "NetworkSettings": {"Networks": networks},
    }]))  # fmt: skip


def execute(words: list[str]) -> None:
    path = folder(words[0])
    if meta(path)["Status"] != "running":
        fail("can only create exec sessions on running containers")
    env = {"PATH": f"{HOME}/bin:{os.environ['PATH']}", "NODE": str(path), "ROOT": f"{path}/root",
           "PROC": f"{path}/root/proc", "FAKE_ENGINE": str(HOME)}  # fmt: skip
    done = subprocess.run(words[1:], env=env, check=False)
    sys.exit(done.returncode)


def change(verb: str, words: list[str]) -> None:
    path = folder(words[-1])
    found = meta(path)
    status = found["Status"]
    if verb == "pause":
        if status != "running":
            fail("can only pause running containers")
        found["Status"] = "paused"
    elif verb == "unpause":
        if status != "paused":
            fail("is not paused, can't unpause")
        found["Status"] = "running"
    elif verb == "stop":
        found["Status"], found["Address"] = "exited", ""
    elif verb == "start":
        found["Status"], found["Address"] = "running", found.get("Wanted") or "10.9.9.9"
    elif words[0] == "connect" and "--ip" in words:
        if "Wanted" in found:
            fail("already connected")
        found["Wanted"] = words[words.index("--ip") + 1]
    elif words[0] == "connect":
        if "Wanted" in found:
            fail("already connected")
        found["Wanted"] = ""
    elif words[0] == "disconnect":
        found.pop("Wanted", None)
    save(path, found)


def main(words: list[str]) -> None:
    if not HOME.is_dir():
        fail("the profile's environment is not set")
    with (HOME / "calls").open("a") as file:
        file.write(json.dumps(words) + "\n")
    spoil = json.loads((HOME / "spoil.json").read_text())
    verb, rest = words[0], words[1:]
    if verb in spoil.get("failing", []):
        fail("cgroup is busy")
    if verb in spoil.get("deaf", []):
        return
    if verb == "inspect":
        inspect(rest)
    elif verb == "exec":
        instead = spoil.get("instead", {}).get(rest[0], rest[0])
        execute([rest[0] if _looks(rest) else instead, *rest[1:]])
    elif verb in CHANGING:
        rest[-1] = spoil.get("instead", {}).get(rest[-1], rest[-1])
        change(verb, rest)
    else:
        fail(f"unknown command {verb}")


def _looks(words: list[str]) -> bool:
    """Scripts that only look are never sent elsewhere."""
    script = words[3] if len(words) > 3 else ""
    return not any(word in script for word in ("systemctl st", "nft -f", "mv ", "systemd-run"))


main(sys.argv[1:])
