"""Redis image, in the pod: makes this node part of one cluster whose shards span two zones.

`redis-cli --cluster create` knows nothing of zones, and after a restart of all pods with new
addresses nobody finds anybody. So each pod runs this once per start and ends when its node is
settled: it introduces its node to the others, pod 0 hands out the slots when nobody has any, and a
node that holds nothing becomes the replica of its partner. Who is whose partner follows from the
zones of the six pods alone, so nothing has to be agreed between them. It must not touch a cluster
that has slots otherwise: a shard that lost both its nodes is lost, and says so by staying down.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import ssl
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SLOTS = 16384
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SELECTOR = "app.kubernetes.io%2Fname%3Dredis-cluster"
PATIENT_AFTER_TRIES = 60


@dataclass(frozen=True)
class Pod:
    name: str
    ip: str
    zone: str


@dataclass(frozen=True)
class Node:
    """One line of CLUSTER NODES."""

    id: str
    ip: str
    flags: frozenset[str]
    master: str
    linked: bool
    slots: tuple[str, ...]


type View = list[Node]


def parse_nodes(text: str) -> View:
    view = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 8:
            continue
        address = fields[1].split(",")[0].rsplit(":", 1)[0]
        slots = tuple(field for field in fields[8:] if not field.startswith("["))
        view.append(
            Node(
                id=fields[0],
                ip=address,
                flags=frozenset(fields[2].split(",")),
                master=fields[3],
                linked=fields[7] == "connected",
                slots=slots,
            )
        )
    return view


def myself(view: View) -> Node:
    return next(node for node in view if "myself" in node.flags)


def shards(pods: Sequence[Pod]) -> list[tuple[Pod, Pod]]:
    """Pairs (first master, first replica), never in one zone; needs two pods in each of 3 zones."""
    zones: dict[str, list[Pod]] = {}
    for pod in sorted(pods, key=lambda pod: pod.name):
        zones.setdefault(pod.zone, []).append(pod)
    rows = [zones[zone] for zone in sorted(zones)]
    if len(rows) < 2 or any(len(row) != 2 for row in rows):
        seen = {zone: [pod.name for pod in row] for zone, row in zones.items()}
        raise RuntimeError(
            f"no shards can be formed: two pods are needed in each zone, seen {seen}"
        )
    return [(row[0], rows[(i + 1) % len(rows)][1]) for i, row in enumerate(rows)]


def partner(me: str, pairs: Sequence[tuple[Pod, Pod]]) -> Pod:
    for one, other in pairs:
        if me in (one.name, other.name):
            return other if me == one.name else one
    raise RuntimeError(f"{me} is in no shard of {pairs}")


def slot_ranges(count: int) -> list[tuple[int, int]]:
    edges = [round(i * SLOTS / count) for i in range(count + 1)]
    return [(low, high - 1) for low, high in itertools.pairwise(edges)]


async def redis(ip: str, *command: str) -> str:
    """One command; an answer that begins with an error is an exception, so is silence for 3 s."""
    process = await asyncio.create_subprocess_exec(
        *("redis-cli", "-h", ip, "--tls", "--cacert", "/tls/ca.crt", "-e", *command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 3)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RuntimeError(f"{command} at {ip}: no answer within 3 s") from None
    if process.returncode:
        raise RuntimeError(f"{command} at {ip}: {out.decode().strip()}")
    return out.decode()


def api(path: str) -> Any:
    """One list from the Kubernetes API, as the pod's own account."""
    request = urllib.request.Request(f"https://kubernetes.default.svc{path}")
    request.add_header("Authorization", "Bearer " + (ACCOUNT / "token").read_text())
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=5, context=context) as answer:
        return json.load(answer)


def discover(namespace: str) -> list[Pod]:
    """The pods that run and have an address, with the zones of their nodes."""
    zones = {
        node["metadata"]["name"]: node["metadata"]["labels"].get("topology.kubernetes.io/zone", "")
        for node in api("/api/v1/nodes")["items"]
    }
    return [
        Pod(pod["metadata"]["name"], pod["status"]["podIP"], zones[pod["spec"]["nodeName"]])
        for pod in api(f"/api/v1/namespaces/{namespace}/pods?labelSelector={SELECTOR}")["items"]
        if pod["status"].get("podIP") and "deletionTimestamp" not in pod["metadata"]
    ]


async def look(pods: Sequence[Pod]) -> dict[str, View]:
    """What each node that answers says of the cluster, by pod name."""

    async def ask(pod: Pod) -> tuple[str, View] | None:
        try:
            return pod.name, parse_nodes(await redis(pod.ip, "CLUSTER", "NODES"))
        except RuntimeError:
            return None

    return dict(seen for seen in await asyncio.gather(*map(ask, pods)) if seen)


async def introduce(own: View, pods: Sequence[Pod], views: dict[str, View], me: Pod) -> bool:
    """Meet every node that this one does not hold a link to; True when there was none to meet."""
    met_all = True
    for pod in pods:
        if pod.name == me.name or pod.name not in views:
            continue
        other = myself(views[pod.name]).id
        known = any(n.id == other and n.ip == pod.ip and n.linked for n in own)
        if not known:
            met_all = False
            await redis(me.ip, "CLUSTER", "MEET", pod.ip, "6379")
    return met_all


async def forget_the_dead(pods: Sequence[Pod], views: dict[str, View]) -> None:
    """Drop ids whose volume is gone for good: six pods answer and none of them has that id."""
    alive = {myself(view).id for view in views.values()}
    for pod in pods:
        for node in views[pod.name]:
            if node.id not in alive and "fail" in node.flags and not node.slots:
                await redis(pod.ip, "CLUSTER", "FORGET", node.id)


async def step(me_name: str, namespace: str, size: int) -> str:
    """One look and at most one kind of act. Returns what is still missing; empty when settled."""
    pods = await asyncio.to_thread(discover, namespace)
    me = next((pod for pod in pods if pod.name == me_name), None)
    views = await look(pods)
    if me is None or me_name not in views:
        return "this node does not answer yet"
    own = views[me_name]
    if not await introduce(own, pods, views, me):
        return "nodes are being introduced"
    if len(views) < size:
        return f"{len(views)} of {size} nodes answer"
    await forget_the_dead(pods, views)
    if not any(node.slots for view in views.values() for node in view):
        return await hand_out_slots(me, shards(pods))
    mine = myself(own)
    if "master" in mine.flags and not mine.slots:
        other = myself(views[partner(me_name, shards(pods)).name])
        if not other.slots:
            return "the partner holds no slots yet"
        await redis(me.ip, "CLUSTER", "REPLICATE", other.id)
        return "became a replica, its copy is under way"
    info = await redis(me.ip, "CLUSTER", "INFO")
    return "" if "cluster_state:ok" in info else "the cluster is not whole yet"


async def hand_out_slots(me: Pod, pairs: Sequence[tuple[Pod, Pod]]) -> str:
    if not me.name.endswith("-0"):
        return "pod 0 has not handed out the slots yet"
    for (low, high), (master, _) in zip(slot_ranges(len(pairs)), pairs, strict=True):
        await redis(master.ip, "CLUSTER", "ADDSLOTSRANGE", str(low), str(high))
    return "slots are handed out"


async def main() -> None:
    name, namespace = os.environ["POD_NAME"], os.environ["POD_NAMESPACE"]
    size = int(os.environ["REDIS_CLUSTER_SIZE"])
    said: str | None = None
    tries = 0
    while True:
        try:
            missing = await step(name, namespace, size)
        except (RuntimeError, OSError, LookupError, StopIteration) as error:
            missing = f"{error}"
        if missing != said:
            print(f"form_cluster: {missing or 'settled'}", flush=True)
            said = missing
        if not missing:
            return
        tries += 1
        await asyncio.sleep(1 if tries < PATIENT_AFTER_TRIES else 5)


if __name__ == "__main__":
    asyncio.run(main())
