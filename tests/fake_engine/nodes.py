"""Nodes of the fake engine: made, watched by their kubelets, spoiled, and asked what was called."""

import datetime as dt
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fake_api.server import FakeApi

LAB = "acpchaos"
STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
LEADERS = ("kube-controller-manager", "kube-scheduler")
GRACE_S = 0.25  # until a silent node is told not ready

# The engine's program. A node is a folder of files: status, id, label, address, and wanted where it
# is joined to the network. Files beside the nodes spoil it: deaf-VERB answers and does nothing,
# fail-VERB fails, instead-NODE holds the node that is hit in its place by what changes something.
ENGINE = r"""refuse() { echo "Error: $1" >&2; exit 125; }
[ -d "$FAKE_ENGINE" ] || refuse "the profile's environment is not set"
verb=$1; shift
echo "$verb $1" >>"$FAKE_ENGINE/calls"
[ ! -e "$FAKE_ENGINE/fail-$verb" ] || refuse "cgroup is busy"
[ ! -e "$FAKE_ENGINE/deaf-$verb" ] || exit 0
for name; do :; done
[ "$verb" != exec ] || name=$1
hit=$name
if [ -e "$FAKE_ENGINE/instead-$name" ]; then case "$verb $*" in
inspect*) ;;
exec*systemctl\ st* | exec*nft\ -f* | exec*mv\ * | exec*systemd-run* | [!e]*)
read -r hit <"$FAKE_ENGINE/instead-$name" ;; esac; fi
NODE=$FAKE_ENGINE/$hit
[ -e "$NODE/status" ] || refuse "no such container \"$name\""
read -r status <"$NODE/status"
read -r id <"$NODE/id"
address= label=
read -r address <"$NODE/address"
read -r label <"$NODE/label"
case $verb in
inspect) case "$*" in
*--format*) echo "$id $status" ;;
*) printf '[{"Id": "%s", "State": {"Status": "%s"}, "Config": {"Labels": {"%s": "%s"}}, ' \
"$id" "$status" io.x-k8s.kind.cluster "$label"
printf '"NetworkSettings": {"Networks": {"kind": {"IPAddress": "%s"}}}}]\n' "$address" ;; esac ;;
exec) [ "$status" = running ] || refuse "can only create exec sessions on running containers"
shift
export NODE FAKE_ENGINE ROOT="$NODE/root" PROC="$NODE/root/proc" PATH="$FAKE_ENGINE/bin:$PATH"
exec "$@" ;;
pause) [ "$status" = running ] || refuse "can only pause running containers"
echo paused >"$NODE/status" ;;
unpause) [ "$status" = paused ] || refuse "is not paused, can't unpause"
echo running >"$NODE/status" ;;
stop) echo exited >"$NODE/status"; echo >"$NODE/address" ;;
start) read -r wanted <"$NODE/wanted" && echo "${wanted:-10.9.9.9}" >"$NODE/address"
echo running >"$NODE/status" ;;
network) case "$1 $2" in
disconnect*) rm -f "$NODE/wanted" ;;
*) [ ! -e "$NODE/wanted" ] || refuse "already connected"
[ "$2" = --ip ] && echo "$3" >"$NODE/wanted" || echo >"$NODE/wanted" ;; esac ;;
*) refuse "unknown command $verb" ;; esac"""

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
    "bash": """for each in "$FAKE_ENGINE"/*/address; do
read -r address <"$each"; [ "$address" = "$4" ] || continue
to=${each%/address}
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
        for name, text in TOOLS.items():
            self._program(home / "bin" / name, text)
        self.binary = home / "podman"
        self._program(self.binary, ENGINE)
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
        self.write(name, status="running", id=f"id-of-{name}", label=LAB, address=address,
                   wanted=address)  # fmt: skip
        if name.startswith("control-plane"):
            for program in STATIC:
                (path / f"root/etc/kubernetes/manifests/{program}.yaml").touch()

    def write(self, name: str, **words: str) -> None:
        """Words of a node by their file; each is replaced at once."""
        for file, word in words.items():
            draft = self.home / name / f"{file}.new"
            draft.write_text(f"{word}\n", encoding="utf-8")
            draft.replace(self.home / name / file)

    def word(self, name: str, file: str) -> str:
        return (self.home / name / file).read_text().strip()

    def status(self, name: str) -> str:
        return self.word(name, "status")

    def spoil(
        self, deaf: Iterable[str] = (), failing: Iterable[str] = (),
        instead: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """From now on; without arguments nothing is spoiled any more."""
        for pattern in ("deaf-*", "fail-*", "instead-*"):
            for path in self.home.glob(pattern):
                path.unlink()
        files = {f"deaf-{verb}": "" for verb in deaf} | {f"fail-{verb}": "" for verb in failing}
        files |= {f"instead-{name}": other for name, other in (instead or {}).items()}
        for file, text in files.items():
            (self.home / file).write_text(f"{text}\n")

    def calls(self) -> list[str]:
        """The verb of each call."""
        path = self.home / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.partition(" ")[0] for line in lines]

    def changes(self) -> list[str]:
        """Those that change something."""
        verbs = ("pause", "unpause", "stop", "start", "network")
        return [verb for verb in self.calls() if verb in verbs]

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
        while not self._stop.wait(0.05):
            self._round()

    def _round(self) -> None:
        for path in self.home.iterdir():
            if (path / "status").exists():
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
