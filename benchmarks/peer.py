"""P1: a token request with everything recorded, against wrk's same request on one nginx.

wrk is C and checks nothing; we parse the whole answer, check its JSON, tell Locust, and record the
request. Both ask the same nginx in rounds that alternate; the figure is requests per second of the
client's CPU time, since nginx may be what limits the rate. wrk and nginx are Debian's.
"""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from acpchaos.wait import eventually
from benchmarks.clients import USERS, Round, one_round
from benchmarks.machine import pinned
from benchmarks.server import TOKEN
from benchmarks.table import Row

BAR, STRETCH = 0.20, 0.30
PEERS = ("wrk", "nginx")
START_S = 20.0

CONFIGURATION = """
daemon off; master_process off; error_log {folder}/error.log; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
  access_log off; default_type application/json;
  keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    add_header Cache-Control no-store; add_header Pragma no-cache; add_header Vary Origin;
    location = /acme/main/token {{ return 200 '{token}'; }}
    location = /acme/main/.well-known/openid-configuration {{ return 200 '{discovery}'; }}
  }}
}}
"""
SCRIPT = """
wrk.method = "POST"
wrk.body = "grant_type=client_credentials"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.headers["Authorization"] = "Basic {basic}"
"""


def run(rounds: int, round_s: float) -> list[Row]:
    """The row of P1; one that says what to install where a peer is missing."""
    if missing := [name for name in PEERS if not _found(name)]:
        return [row([], [], f"apt-get install -y {' '.join(missing)}")]
    ours: list[Round] = []
    theirs: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, nginx(Path(folder)) as issuer:
        for number in range(rounds):
            for turn in (number % 2, 1 - number % 2):
                if turn:
                    ours.append(one_round("lean", issuer, round_s))
                else:
                    theirs.append(_wrk(Path(folder), f"{issuer}/token", round_s))
    return [row(ours, theirs)]


def row(ours: list[Round], theirs: list[Round], why: str = "") -> Row:
    """The ratio of medians; without rounds nothing is met."""
    named = {
        "id": "P1", "what": "token POST with JSON check, recorded, per core, against wrk",
        "bar": f"{BAR:g} of wrk", "stretch": f"{STRETCH:g}",
    }  # fmt: skip
    if not ours or not theirs:
        return Row(**named, figure="not measured", met=False, more=why)
    (mine, my_rate), (wrk, its_rate) = (
        (median(one.per_cpu_s for one in seen), median(one.per_s for one in seen))
        for seen in (ours, theirs)
    )
    return Row(
        **named, figure=f"{mine / wrk:.2f} of wrk", met=mine / wrk >= BAR,
        more=f"{mine:,.0f} and {wrk:,.0f} requests per CPU second; {my_rate:,.0f} and "
        f"{its_rate:,.0f} per second",
    )  # fmt: skip


def _found(name: str) -> str | None:
    """Its path; nginx is where only root looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """The issuer that one nginx process serves as long as the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    issuer = f"http://127.0.0.1:{port}/acme/main"
    told = {"issuer": issuer, "token_endpoint": f"{issuer}/token", "jwks_uri": f"{issuer}/jwks"}
    (folder / "nginx.conf").write_text(
        CONFIGURATION.format(
            folder=folder, port=port, token=TOKEN.decode(), discovery=json.dumps(told)
        )
    )
    path = _found("nginx")
    assert path is not None
    child = subprocess.Popen(
        [*pinned(1), path, "-p", str(folder), "-c", str(folder / "nginx.conf"),
         "-e", str(folder / "error.log")],
    )  # fmt: skip
    try:
        eventually("nginx", lambda: _listens(port), START_S, 0.05, transient=(OSError,))
        yield issuer
    finally:
        child.terminate()
        child.wait(10)


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def _wrk(folder: Path, url: str, round_s: float) -> Round:
    basic = base64.b64encode(b"bench:bench").decode()
    script = folder / "post.lua"
    script.write_text(SCRIPT.format(basic=basic))
    said = folder / "wrk.txt"
    with said.open("w") as out:
        child = subprocess.Popen(
            [*pinned(0), str(_found("wrk")), "--threads", "1", "--connections", str(USERS),
             "--duration", f"{round_s:.0f}s", "--script", str(script), url],
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return read_wrk(said.read_text(), used.ru_utime + used.ru_stime)


def read_wrk(said: str, cpu_s: float) -> Round:
    """What wrk printed; RuntimeError where not all was answered well."""
    count = re.search(r"^\s*(\d+) requests in ", said, re.MULTILINE)
    rate = re.search(r"^Requests/sec:\s*([\d.]+)", said, re.MULTILINE)
    if not count or not rate or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"wrk said {said[-500:]!r}")
    return Round(int(count[1]) / cpu_s, float(rate[1]))
