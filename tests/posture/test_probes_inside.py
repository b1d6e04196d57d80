"""The part that runs in pods, over real sockets: how attempts end, and that a policy's answer is
told from a closed port's."""

import json
import shutil
import socket
import subprocess
import sys

import pytest

from acpchaos.posture.probes import inside
from acpchaos.posture.probes.attempts import RUN, SOURCE, SOURCE_VARIABLE

RULES = """ip link set lo up
iptables -A INPUT -p tcp --dport 5000 -j REJECT
iptables -A INPUT -p tcp --dport 5001 -j DROP
iptables -A INPUT -p tcp --dport 5002 -j REJECT --reject-with icmp-admin-prohibited
iptables -A INPUT -p tcp --dport 5003 -j REJECT --reject-with tcp-reset
iptables -A INPUT -p tcp --dport 5004 -j REJECT --reject-with icmp-host-unreachable
exec "$@"
"""


def firewalled() -> bool:
    """Whether this machine lets us have a network of our own with rules in it."""
    if not all(map(shutil.which, ("unshare", "iptables", "ip"))):
        return False
    argv = ["unshare", "-rn", "sh", "-ec", RULES, "sh", "true"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_an_open_and_a_closed_port_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        closed = socket.create_server(("127.0.0.1", 0))
        free = closed.getsockname()[1]
        closed.close()
        answers = inside.connect([("127.0.0.1", port), ("127.0.0.1", free)], 2.0)
    assert [word for word, _ in answers] == ["open", "refused"]


def test_the_text_sent_to_a_pod_runs_there_as_it_does_here() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        argv = [sys.executable, *RUN[1:], "connect", "2", place]
        done = subprocess.run(
            argv, env={SOURCE_VARIABLE: SOURCE}, capture_output=True, check=True, timeout=20
        )
    assert json.loads(done.stdout)[0][0] == "open"


def test_all_are_tried_at_once_and_none_waits_longer_than_told() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        full = server.getsockname()
        held = [socket.socket() for _ in range(4)]
        for each in held:  # a full backlog drops further packets, as a policy does
            each.setblocking(False)
            each.connect_ex(full)
        answers = inside.connect([full] * 5, 0.5)
        for each in held:
            each.close()
    assert {word for word, _ in answers} <= {"timeout", "open"}
    assert "timeout" in {word for word, _ in answers}
    assert all(took_ms <= 700 for _, took_ms in answers)


@pytest.mark.skipif(not firewalled(), reason="needs unshare, iptables and the right to use them")
def test_what_a_policy_says_is_told_from_what_a_host_says() -> None:
    """The proof of the words: rejecting, dropping and resetting firewalls, and a closed port."""
    ports = [f"127.0.0.1:{port}" for port in (5000, 5001, 5002, 5003, 5004, 5005)]
    argv = ["unshare", "-rn", "sh", "-ec", RULES, "sh", sys.executable, inside.__file__]
    argv += ["connect", "1", *ports]
    done = subprocess.run(argv, capture_output=True, check=True, timeout=20)
    words = [word for word, _ in json.loads(done.stdout)]
    assert words == ["rejected", "timeout", "rejected", "refused", "unreachable", "refused"]
