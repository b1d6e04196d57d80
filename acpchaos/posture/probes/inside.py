"""Runs in a probe pod: tries TCP connections and tells how each ended, or listens to be tried.

Room: posture, but its text travels to the pod and is run there by `python3 -c`, so it may import
the standard library only. A port that is closed and a packet that a policy rejects both end as
"connection refused"; what tells them apart is the error queue: a closed port answers with a TCP
reset, which leaves nothing there, a firewall with an ICMP message, which does. A kernel sends few
such messages per second, so a policy that rejects may look like one that drops; both are a block.

    connect SECONDS HOST:PORT...   prints a JSON list of [word, milliseconds], all tried at once
    listen PORT                    accepts and hangs up, for ever
    idle                           does nothing, for ever

Words: open, refused (reset by the host), rejected (ICMP from a firewall), timeout, unreachable
(ICMP from a router that found no way), or the name of another error.
"""

from __future__ import annotations

import contextlib
import errno
import json
import select
import signal
import socket
import struct
import sys
import time

RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
MSG_ERRQUEUE = 0x2000
FROM_ICMP = (2, 3)  # origin of an error queue entry: ICMP, ICMPv6
# codes of "destination unreachable" that only a firewall sends in answer to TCP
PROHIBITED = {socket.AF_INET: (3, 9, 10, 13), socket.AF_INET6: (1, 4, 5, 6)}


def icmp_code(sock: socket.socket) -> int | None:
    """Code of the ICMP message that ended the connection, None when it was no ICMP message."""
    level, kind = RECVERR[sock.family]
    try:
        ancillary = sock.recvmsg(512, 512, MSG_ERRQUEUE)[1]
    except OSError:
        return None
    for at_level, at_kind, data in ancillary:
        if (at_level, at_kind) == (level, kind):
            _, origin, _, code = struct.unpack_from("=IBBB", data)
            if origin in FROM_ICMP:
                return int(code)
    return None


def word_of(sock: socket.socket, code: int) -> str:
    """One word for how a connection attempt ended."""
    if code == 0:
        return "open"
    icmp = icmp_code(sock)
    if icmp in PROHIBITED[sock.family]:
        return "rejected"
    if code == errno.ECONNREFUSED:
        return "refused"
    if icmp is not None or code in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "unreachable"
    return errno.errorcode.get(code, str(code))


def opened(host: str) -> socket.socket:
    """A socket for the host's family that keeps ICMP messages."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    with contextlib.suppress(OSError):  # a sandboxed kernel may not know it; then no ICMP is seen
        sock.setsockopt(*RECVERR[sock.family], 1)
    return sock


def connect(places: list[tuple[str, int]], timeout_s: float) -> list[tuple[str, int]]:
    """(word, milliseconds) for each place."""
    begin_s = time.monotonic()
    answers = [("timeout", round(timeout_s * 1000))] * len(places)
    waiting: dict[int, tuple[int, socket.socket]] = {}
    poll = select.poll()

    def end(number: int, sock: socket.socket, code: int) -> None:
        spent_ms = round((time.monotonic() - begin_s) * 1000)
        answers[number] = (word_of(sock, code), spent_ms)
        sock.close()

    for number, place in enumerate(places):
        sock = opened(place[0])
        code = sock.connect_ex(place)
        if code == errno.EINPROGRESS:
            waiting[sock.fileno()] = (number, sock)
            poll.register(sock, select.POLLOUT)
        else:
            end(number, sock, code)
    while waiting and (left_s := begin_s + timeout_s - time.monotonic()) > 0:
        for number_of_file, _ in poll.poll(left_s * 1000):
            number, sock = waiting.pop(number_of_file)
            poll.unregister(number_of_file)
            end(number, sock, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    for _, sock in waiting.values():
        sock.close()
    return answers


def listen(port: int) -> None:
    """Accept and hang up until the pod ends."""
    try:
        server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except OSError:  # a node without IPv6
        server = socket.create_server(("0.0.0.0", port))
    while True:
        server.accept()[0].close()


def main(argv: list[str]) -> None:
    """See the top of this file."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if argv[0] == "connect":
        split = [text.rpartition(":") for text in argv[2:]]
        places = [(host, int(port)) for host, _, port in split]
        sys.stdout.write(json.dumps(connect(places, float(argv[1]))) + "\n")
    elif argv[0] == "listen":
        listen(int(argv[1]))
    else:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
