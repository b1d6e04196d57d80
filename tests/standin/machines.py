"""Room tests/standin: real stores and real server processes on loopback ports.

Nothing here knows what is tested. Every process belongs to a `Process` and ends with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest
import redis
import requests
import yaml

from acpchaos.wait import eventually

ROOT = Path(__file__).resolve().parents[2]


def binary(name: str) -> str:
    """A server program's path; a test without it must fail, not be skipped."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(debian[-1]) if debian else None)
    if found is None:
        pytest.fail(f"{name} is not installed; `make setup` installs it")
    return found


def free_ports(count: int, first: int = 0) -> list[int]:
    """Ports free now, below 50000 so that a Redis bus port (+10000) exists too."""
    held, ports = [], []
    candidate = (first or 20000 + os.getpid() % 500 * 10) - 1
    while len(ports) < count:
        candidate += 1
        sockets = []
        try:
            for port in (candidate, candidate + 10000):
                sock = socket.socket()
                sockets.append(sock)
                sock.bind(("127.0.0.1", port))
        except OSError:
            for sock in sockets:
                sock.close()
            continue
        held += sockets
        ports.append(candidate)
    for sock in held:
        sock.close()
    return ports


class Redises:
    """A Redis Cluster of three masters and three replicas on changing ports."""

    def __init__(self, folder: Path, password: str) -> None:
        self.folder = folder
        self.password = password
        self.ports: list[int] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self._generation = 0

    def create(self, first_port: int = 0) -> None:
        """A new, empty cluster, on new ports or from `first_port` on."""
        self._generation += 1
        self.ports = free_ports(6, first_port)
        for port in self.ports:
            home = self.folder / f"{self._generation}-{port}"
            home.mkdir()
            command = [binary("redis-server"), "--port", str(port), "--dir", str(home)]
            command += ["--bind", "127.0.0.1", "--cluster-enabled", "yes", "--save", ""]
            command += ["--cluster-node-timeout", "2000", "--requirepass", self.password]
            command += ["--masterauth", self.password, "--appendonly", "no"]
            self.processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        nodes = [f"127.0.0.1:{port}" for port in self.ports]
        eventually("redis nodes answer", self._all_answer, 10, 0.1, transient=(redis.RedisError,))
        subprocess.run(
            [
                binary("redis-cli"),
                "--cluster",
                "create",
                *nodes,
                "--cluster-replicas",
                "1",
                "--cluster-yes",
            ],
            env={**os.environ, "REDISCLI_AUTH": self.password},
            check=True,
            capture_output=True,
            timeout=30,
        )
        eventually("redis cluster formed", self.formed, 15, 0.1)

    def _all_answer(self) -> bool:
        return all(self.node(port).ping() for port in self.ports)

    def formed(self) -> bool:
        """Every node sees all slots served."""
        states = [self.node(port).cluster("info")["cluster_state"] for port in self.ports]
        return set(states) == {"ok"}

    def node(self, port: int) -> redis.Redis:
        """A direct connection to one node."""
        return redis.Redis(port=port, password=self.password, socket_timeout=2)

    def signal(self, number: signal.Signals) -> None:
        """The same signal to every node."""
        for process in self.processes:
            process.send_signal(number)

    def destroy(self) -> None:
        """Kill all nodes; their memory is the only place the data was."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        self.processes = []


class Postgres:
    """One PostgreSQL server."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = free_ports(1)[0]
        self.process: subprocess.Popen[bytes] | None = None
        folder.chmod(0o777)
        self._as_postgres(
            binary("initdb"), "-D", str(self.data), "-A", "trust", "-U", "postgres", "--no-sync"
        )

    def _prefix(self) -> list[str]:
        return (
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            if os.getuid() == 0
            else []
        )

    def _as_postgres(self, *command: str) -> None:
        subprocess.run(
            [*self._prefix(), *command], check=True, capture_output=True, cwd="/", timeout=60
        )

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [binary("postgres"), "-D", str(self.data), "-p", str(self.port), "-k", ""]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        self.process = subprocess.Popen(
            [*self._prefix(), *command], cwd="/", stderr=subprocess.DEVNULL
        )
        eventually(
            "postgres answers", self._answers, 15, 0.1, transient=(psycopg.OperationalError,)
        )

    def _answers(self) -> bool:
        with psycopg.connect(self.url("postgres"), connect_timeout=2):
            return True

    def url(self, database: str) -> str:
        """The URL of one database."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def run(self, database: str, statement: str) -> list[tuple[object, ...]]:
        """All rows of one statement."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """Immediate shutdown."""
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=10)


class Acp:
    """One stand-in process with its configuration files."""

    def __init__(
        self, folder: Path, layers: list[Mapping[str, object]], flags: tuple[str, ...] = ()
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log_path = folder / "acp.log"
        self.port, self.metrics_port, self.grpc_port = free_ports(3)
        self.url = f"https://127.0.0.1:{self.port}"
        own = {"server": {"url": self.url, "bind": "127.0.0.1", "port": self.port,
                          "metrics_port": self.metrics_port,
                          "grpc_port": self.grpc_port}}  # fmt: skip
        paths = []
        for index, layer in enumerate([*layers, own]):
            path = folder / f"layer{index}.yaml"
            path.write_text(yaml.safe_dump(dict(layer)))
            paths.append(str(path))
        self.config = ("--config", ",".join(paths))
        self.flags = flags
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "lab.standin", *words, *self.config],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def start(self, alive: int = 200, **environment: str) -> None:
        """Start the server and wait until /alive answers with this status."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "lab.standin",
                    "server",
                    "start",
                    "--metrics",
                    *self.flags,
                    *self.config,
                ],
                cwd=ROOT,
                env={**os.environ, **environment},
                stderr=log,
            )
        what = f"stand-in alive; see {self.log_path}"
        try:
            eventually(
                what,
                lambda: self._alive() == alive,
                20,
                0.1,
                transient=(requests.RequestException,),
            )
        except BaseException:  # also an interrupt: nobody else would end the process
            self.process.kill()
            self.process.wait()
            raise

    def _alive(self) -> int:
        if self.process is None or self.process.poll() is not None:
            pytest.fail(f"the stand-in ended: {self.log_path.read_text()[-2000:]}")
        return requests.get(self.url + "/alive", verify=False, timeout=2).status_code

    def metric(self, name: str) -> float:
        """A metric without labels, as it stands now."""
        text = requests.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=2).text
        found = next(line for line in text.splitlines() if line.startswith(name + " "))
        return float(found.rpartition(" ")[2])

    def stop(self) -> int:
        """SIGTERM, then its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        return self.process.wait(timeout=20)
