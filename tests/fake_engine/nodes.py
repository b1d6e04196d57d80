"""Nodes of the fake engine: made, watched by their kubelets, spoiled, and asked what was called."""

import datetime as dt
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fake_api.server import FakeApi

LAB = "acpchaos"
PROGRAM = Path(__file__).with_name("podman.py")
STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
LEADERS = ("kube-controller-manager", "kube-scheduler")
GRACE_S = 0.35  # until a silent node is told not ready

# What a node has on its PATH, as small shell programs. NODE is its folder.
TOOLS = {
    "systemctl": """case "$1 $2 $3" in
"is-active --quiet kubelet") test -e "$NODE/kubelet" ;;
"is-active --quiet "*.timer) test -e "$NODE/timers/${3%.timer}" ;;
"stop kubelet "*) test -e "$NODE/deaf" || rm -f "$NODE/kubelet" ;;
"start kubelet "*) : >"$NODE/kubelet" ;;
"stop "*.timer" "*) rm -f "$NODE/timers/${2%.timer}" ;;
*) exit 9 ;; esac""",
    "systemd-run": """test -e "$NODE/no-timers" && exit 1
for each; do case $each in --unit=*) unit=${each#--unit=} ;; esac; done
while [ "${1#--}" != "$1" ]; do shift; done
test -e "$NODE/deaf-timers" || printf '%s\\n' "$3" | sed 's/[$][$]/$/g' >"$NODE/timers/$unit"
printf '%s' "$5" >"$NODE/word" """,
    "nft": """case "$1 $2" in
"list table") test -e "$NODE/nft-$3" ;;
"delete table") rm "$NODE/nft-$3" ;;
"-f -") text=$(cat); test -e "$NODE/deaf" && exit 0
set -- $text; printf '%s' "$text" >"$NODE/nft-$2" ;;
*) exit 9 ;; esac""",
    "ip": "echo default via 10.9.0.1 dev eth0 proto static",
    "ctr": 'echo "TASK PID STATUS"; cat "$NODE/tasks"',
    "curl": """test -e "$NODE/root/etc/kubernetes/manifests/etcd.yaml" || exit 7
echo '{"health":"true"}'""",
    # only what sends datagrams: 4 address, 5 how many
    "bash": """for each in "$FAKE_ENGINE"/*/meta.json; do
case $(cat "$each") in *'"'"$4"'"'*) ;; *) continue ;; esac
to=${each%/meta.json}
grep -qs outgoing "$NODE/nft-ip" && exit 0
grep -qs incoming "$to/nft-ip" && exit 0
count=$(cat "$to/count"); count=$((count + $5)); echo $count >"$to/count"
printf 'Udp: InDatagrams NoPorts InErrors\\nUdp: 5 %s 0\\n' $count >"$to/root/proc/net/snmp"
done""",
}


class Nodes:
    """The fake engine's folder, and a thread that plays the kubelets on the fake API server."""

    def __init__(self, api: FakeApi, home: Path) -> None:
        self.api, self.home = api, home
        self._stop = threading.Event()
        self._seen: dict[str, float] = {}
        (home / "bin").mkdir(parents=True)
        self.spoil()
        for name, text in TOOLS.items():
            self._program(home / "bin" / name, text)
        self.binary = home / "podman"
        self._program(self.binary, f'exec {sys.executable} -I -S {PROGRAM} "$@"')
        with api.store.lock:
            names = [each["metadata"]["name"] for each in api.store.items("nodes", "", "", "")]
        for number, name in enumerate(sorted(names)):
            self._make(name, f"10.9.0.{number + 10}")

    def _program(self, path: Path, text: str) -> None:
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    def _make(self, name: str, address: str) -> None:
        path = self.home / name
        for each in ("timers", "root/proc/net", "root/etc/kubernetes/manifests"):
            (path / each).mkdir(parents=True)
        (path / "kubelet").touch()
        (path / "tasks").write_text("aaa 11 RUNNING\nbbb 12 RUNNING\nccc 13 STOPPED\n")
        (path / "count").write_text("7\n")
        snmp = "Udp: InDatagrams NoPorts InErrors\nUdp: 5 7 0\n"
        (path / "root/proc/net/snmp").write_text(snmp)
        self.write(name, {
            "Id": f"id-of-{name}", "Status": "running", "Address": address, "Wanted": address,
            "Labels": {"io.x-k8s.kind.cluster": LAB},
        })  # fmt: skip
        if name.startswith("control-plane"):
            for program in STATIC:
                (path / f"root/etc/kubernetes/manifests/{program}.yaml").touch()

    def write(self, name: str, meta: dict[str, Any]) -> None:
        draft = self.home / name / "meta.new"
        draft.write_text(json.dumps(meta), encoding="utf-8")
        draft.replace(self.home / name / "meta.json")

    def meta(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / name / "meta.json").read_text())
        return found

    def status(self, name: str) -> str:
        return str(self.meta(name)["Status"])

    def spoil(self, **how: Any) -> None:
        (self.home / "spoil.json").write_text(json.dumps(how), encoding="utf-8")

    def calls(self) -> list[list[str]]:
        path = self.home / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def changes(self) -> list[str]:
        """Calls that change something, by their verb."""
        verbs = ("pause", "unpause", "stop", "start", "network")
        return [call[0] for call in self.calls() if call[0] in verbs]

    def timers(self, name: str) -> list[Path]:
        return sorted((self.home / name / "timers").iterdir())

    def fire(self, name: str) -> None:
        """The time of every timer of a node has come."""
        for timer in self.timers(name):
            word = (self.home / name / "word").read_text()
            script = timer.read_text()
            timer.unlink()
            argv = [str(self.binary), "exec", name, "sh", "-c", script, "sh", word]
            subprocess.run(argv, env={"FAKE_ENGINE": str(self.home), "PATH": "/usr/bin:/bin"},
                           check=True)  # fmt: skip

    def manifests(self, name: str) -> list[str]:
        return sorted(
            p.name for p in (self.home / name / "root/etc/kubernetes/manifests").iterdir()
        )

    @contextmanager
    def living(self) -> Iterator["Nodes"]:
        thread = threading.Thread(target=self._live, daemon=True)
        self._round()
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
            self.api.closing = False

    def _live(self) -> None:
        while not self._stop.wait(0.08):
            self._round()

    def _round(self) -> None:
        for path in self.home.iterdir():
            if (path / "meta.json").exists():
                self._kubelet(path)

    def _kubelet(self, path: Path) -> None:
        name, running = path.name, self.status(path.name) == "running"
        kubelet, proc = (path / "kubelet").exists(), path / "root/proc"
        if running and not kubelet and self.status(name) == "running":
            shutil.rmtree(proc / "2", ignore_errors=True)
        if running and kubelet:
            self._process(proc, 2, "/usr/bin/kubelet\0--config=x\0")
            self._static(path)
        alive = running and kubelet and not (path / "nft-ip").exists()
        if alive:
            self._seen[name] = time.monotonic()
            self._lease("kube-node-lease", name)
        ready = time.monotonic() - self._seen.get(name, 0.0) < GRACE_S
        self._tell(name, "True" if ready else "Unknown")

    def _static(self, path: Path) -> None:
        for number, program in enumerate(STATIC, 20):
            wanted = (path / f"root/etc/kubernetes/manifests/{program}.yaml").exists()
            if wanted:
                self._process(path / "root/proc", number, f"{program}\0--x\0")
            else:
                shutil.rmtree(path / f"root/proc/{number}", ignore_errors=True)
            if wanted and program in LEADERS:
                self._lease("kube-system", program)
        if path.name == "control-plane":
            found = set(self.manifests(path.name))
            self.api.closing = not {"etcd.yaml", "kube-apiserver.yaml"} <= found

    def _process(self, proc: Path, number: int, words: str) -> None:
        if not (proc / str(number)).exists():
            (proc / str(number)).mkdir()
            (proc / str(number) / "cmdline").write_text(words)

    def _lease(self, space: str, name: str) -> None:
        now = dt.datetime.now(dt.UTC).isoformat()
        meta = {"name": name, "namespace": space}
        self.api.store.put("leases", {"metadata": meta, "spec": {"renewTime": now}})

    def _tell(self, name: str, status: str) -> None:
        with self.api.store.lock:
            node = self.api.store.get(("nodes", "", name))
            node["status"] = {"conditions": [{"type": "Ready", "status": status}]}
