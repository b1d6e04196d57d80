"""`lab up`: the list of steps, put together for one size and one image source, and the figures at
the end.

Each step asks first whether it is done, so that a second run after an interruption goes on where
the first one stopped.
"""

import contextlib
import fcntl
import functools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acpchaos.wait import pause_until
from lab import figures, kindconfig, making, podman, profile, published, secrets
from lab.cluster import PREFERRED_INGRESS_PORT, Cluster, free_port
from lab.gobuild import COMPONENTS, COMPONENTS_DIR, component, toolchain
from lab.images import Recipe
from lab.images.apps import APPS, STANDIN
from lab.images.build import Workshop, build_image
from lab.images.node import node_reference
from lab.paths import CLUSTER_NAME, LAB_DIR, PROJECT_DIR, content_key, state_of
from lab.process import LabError, read
from lab.steps import Say, Step, Walk, walk

MANIFESTS = LAB_DIR / "manifests"
OVERLAYS = {path.name: path for path in (MANIFESTS / "overlays").iterdir() if path.is_dir()}
# labels: faults and probes may be played here; and pods must be as confined as ACP's are
NAMESPACES: dict[str, dict[str, str]] = {
    "acp-system": {
        "acpchaos.io/allowed": "true",
        "pod-security.kubernetes.io/enforce": "restricted",
    },
    "object-stores": {},
    "ingress": {},
    kindconfig.ACCOUNTS_NAMESPACE: {"pod-security.kubernetes.io/enforce": "restricted"},
}
# who takes back what a dead run left; its rights are those that these experiments need for that,
# none of them on Secrets
REAPER = {
    "account": "acpchaos-reaper",
    "namespace": kindconfig.ACCOUNTS_NAMESPACE,
    "image": STANDIN.references[0],  # it has python3
}
REAPED = ("pod-loss", "zone-drain", "redis-wipe", "autoscaling", "restore")
APPLIED = "acpchaos.io/applied"  # on the namespace: key of the manifests that stand in it
READY_BUDGET_S = 420


@dataclass(frozen=True)
class Plan:
    """What `lab up` was asked for."""

    size: str = "default"
    images: str = "built"
    install: str = "hardened"
    bare: bool = False


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[None]:
    """One `lab up` or `down` at a time per cluster; a dead one holds nothing."""
    root.mkdir(parents=True, exist_ok=True)
    with (root.parent / f"{root.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as held:
            raise LabError(
                "lock the lab", "another lab up or down is running", "wait for it to end"
            ) from held
        yield


def cluster_for(name: str = CLUSTER_NAME) -> Cluster:
    podman.use_config()
    state = state_of(name)
    return Cluster(state, Workshop(toolchain(), state.logs), name)


def up(plan: Plan, say: Say) -> Walk:
    """Walk all steps; prints what the lab cost. Raises StepFailed or LabError."""
    cluster = cluster_for()
    with only_one(cluster.state.root):
        before = figures.take()
        began = time.monotonic()
        result = walk(steps(cluster, plan), say)
        figures.report(cluster, before, result, time.monotonic() - began, say)
    return result


def steps(cluster: Cluster, plan: Plan) -> list[Step]:
    shop = cluster.shop
    made = making.machine_steps(shop)
    if plan.images == "published":
        made.append(published.pull_step(shop.logs))
        parts = tuple(component(name) for name in published.COMPILED)
        own = published.BUILT if plan.bare else (*published.BUILT, *APPS)
        made += making.artefact_steps(shop, parts, own)
    else:
        made += making.artefact_steps(shop, COMPONENTS, () if plan.bare else APPS)
        made.append(making.node_image(shop))
        made += [making.load_balancer(shop)] if plan.size == "full" else []
    made += _cluster_steps(cluster, plan)
    return made if plan.bare else [*made, *_application_steps(cluster, OVERLAYS[plan.install])]


def _cluster_steps(cluster: Cluster, plan: Plan) -> list[Step]:
    def alive() -> bool:
        return _alive(cluster) and _same_install(cluster, plan.install)

    def create() -> str:
        port = free_port(PREFERRED_INGRESS_PORT)
        image = published.NODE_IMAGE if plan.images == "published" else node_reference(cluster.shop)
        cluster.create(size=plan.size, ingress_port=port, image=image)
        state = {
            "ingress_port": port,
            "size": plan.size,
            "images": plan.images,
            "install": plan.install,
            "image": image,
        }
        cluster.state.state_file.write_text(json.dumps(state, indent=1))
        return f"ingress at 127.0.0.1:{port}"

    prepare = Step("images of the nodes", 30, lambda: published.prepare_nodes(cluster))
    return [
        Step("kind cluster", 75, create, alive),
        *([prepare] if plan.images == "published" else []),
        Step("network, storage, metrics, ingress", 5, lambda: _apply_system(cluster)),
        Step("secrets and certificates", 2, lambda: _apply_secrets(cluster, plan)),
        *([] if plan.bare else [Step("account of the reaper", 3, lambda: _apply_reaper(cluster))]),
    ]


def _alive(cluster: Cluster) -> bool:
    """All nodes are there and the API answers; stopped nodes of a lab that died are started first.
    One that cannot be started (its port is taken by now, say) makes the lab a dead one.
    """
    nodes = cluster.nodes()
    if not cluster.state.state_file.exists():
        return False
    if len(nodes) != kindconfig.node_count(_made(cluster).get("size", "default")):
        return False
    stopped = set(nodes) - set(podman.nodes(cluster.name, running_only=True))
    for node in stopped:
        try:
            read(["podman", "start", node])
        except LabError:
            return False
    deadline = time.monotonic() + (60 if stopped else 5)
    while not (ready := cluster.answers()) and time.monotonic() < deadline:
        pause_until(time.monotonic() + 2)
    return ready


def _made(cluster: Cluster) -> dict[str, Any]:
    """How the lab was made, as it was written down then."""
    made: dict[str, Any] = json.loads(cluster.state.state_file.read_text())
    return made


def _same_install(cluster: Cluster, install: str) -> bool:
    """True, or LabError: what one install left in SQL would make the other look wrong."""
    found = _made(cluster).get("install", "hardened")
    if found != install:
        raise LabError(
            f"lab up --install {install}",
            f"the running lab was made with --install {found}",
            "acpchaos lab down, then the same command again",
        )
    return True


def _apply_system(cluster: Cluster) -> None:
    folder = COMPONENTS_DIR / "contour"
    module = read(
        ["go", "list", "-m", "-f", "{{.Dir}}", "github.com/projectcontour/contour"], cwd=folder
    )
    definitions = Path(module.strip()) / "examples" / "contour" / "01-crds.yaml"
    files = sorted((MANIFESTS / "cluster").glob("*.yaml"))
    words = [word for path in (definitions, *files) for word in ("-f", str(path))]
    cluster.kubectl("apply", "--server-side", "--force-conflicts", *words)


def _apply_secrets(cluster: Cluster, plan: Plan) -> None:
    install = plan.install
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        for name, labels in NAMESPACES.items()
    ]
    cluster.apply(namespaces)
    stock = None if install == "hardened" else OVERLAYS[install]
    cluster.apply(secrets.objects(cluster.state, base_url(cluster), stock))
    cluster.kubectl("label", "node", "--overwrite", *cluster.workers(), "acpchaos.io/allowed=true")
    control_plane = ("-l", "node-role.kubernetes.io/control-plane")
    consent = "acpchaos.io/allowed=control-plane"  # to be asked for as such, by no other fault
    cluster.kubectl("label", "node", "--overwrite", *control_plane, consent)
    text = profile.render(
        cluster.state,
        cluster.identity(),
        cluster.context,
        base_url(cluster),
        profile.ISSUERS if install == "hardened" else profile.DEFAULT_ISSUERS,
        profile.NO_REAPER if plan.bare else REAPER,
    )
    profile.write(text)


def _apply_reaper(cluster: Cluster) -> None:
    """The account, with the rights that the product prints for it."""
    space, name = REAPER["namespace"], REAPER["account"]
    experiments = [PROJECT_DIR / "experiments" / f"{each}.yaml" for each in REAPED]
    rights = read(
        [sys.executable, "-m", "acpchaos.cli", "rbac", "--reaper", "--name", name,
         "--account", f"{space}/{name}", *experiments],
        cwd=PROJECT_DIR,
    )  # fmt: skip
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    cluster.apply([account | {"metadata": {"name": name, "namespace": space}}])
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", feed=rights)


def base_url(cluster: Cluster) -> str:
    return f"https://localhost:{_made(cluster)['ingress_port']}"


def _application_steps(cluster: Cluster, overlay: Path) -> list[Step]:
    @functools.cache
    def rendered() -> str:
        return cluster.kubectl("kustomize", str(overlay))

    def load() -> None:
        for recipe in APPS:
            build_image(recipe, cluster.shop)  # the code may have changed since the image step
            if cluster.load(recipe):
                _restart_users(cluster, recipe, lambda line: None)
        cluster.load(STANDIN, cluster.control_planes())  # the reaper's place, away from faults

    return [
        Step("load images", 30, load),
        Step(
            "stores and ACP",
            10,
            lambda: _apply_overlay(cluster, rendered()),
            lambda: _overlay_stands(cluster, rendered()),
        ),
        Step("all workloads ready", 90, lambda: _wait_ready(cluster)),
    ]


def _overlay_stands(cluster: Cluster, manifests: str) -> bool:
    """These very manifests were applied and all workloads are ready.

    What somebody changed by hand since is left alone, so that a lab can be weakened on purpose and
    then judged; a lab that is not whole gets its manifests again.
    """
    return _applied(cluster) == content_key([], manifests) and not unready(cluster)


def _applied(cluster: Cluster) -> str:
    words = ("get", "namespace", "acp-system", "-o", "json")
    found: dict[str, Any] = json.loads(cluster.kubectl(*words))
    return str(found["metadata"].get("annotations", {}).get(APPLIED, ""))


def _apply_overlay(cluster: Cluster, manifests: str) -> None:
    # a Job cannot be changed, only made again; ACP's are written to be run any number of times
    cluster.kubectl("-n", "acp-system", "delete", "job", "--all", "--ignore-not-found")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", feed=manifests)
    mark = f"{APPLIED}={content_key([], manifests)}"
    cluster.kubectl("annotate", "namespace", "acp-system", "--overwrite", mark)


def unready(cluster: Cluster) -> list[str]:
    """Workloads whose pods are not all ready, and Jobs that are not complete, as text."""
    listing = cluster.kubectl("get", "deploy,statefulset,daemonset,job", "-A", "-o", "json")
    return [line for item in json.loads(listing)["items"] if (line := lack_of(item))]


def lack_of(item: dict[str, Any]) -> str:
    """What a workload still lacks, as text; empty when it is ready or complete."""
    meta, status, spec = item["metadata"], item.get("status", {}), item["spec"]
    name = f"{item['kind']} {meta['namespace']}/{meta['name']}"
    if item["kind"] == "Job":
        return "" if status.get("succeeded") else f"{name} not complete"
    if status.get("observedGeneration", 0) != meta.get("generation"):
        return f"{name} not seen yet"
    wanted = status.get("desiredNumberScheduled", spec.get("replicas", 0))
    ready = status.get("numberReady", status.get("readyReplicas", 0))
    return "" if ready == wanted else f"{name} {ready}/{wanted}"


def _wait_ready(cluster: Cluster) -> str:
    deadline = time.monotonic() + READY_BUDGET_S
    while lacking := unready(cluster):
        if time.monotonic() > deadline:
            raise LabError(
                "wait until all workloads are ready",
                "; ".join(lacking),
                "acpchaos lab status, then kubectl describe and logs of what is named",
            )
        pause_until(time.monotonic() + 2)
    return f"{base_url(cluster)} answers for ACP"


def load_one(name: str, recipes: dict[str, Recipe], say: Say) -> None:
    """Rebuild one image, load it into the running cluster and restart what uses it."""
    if name not in recipes:
        raise LabError("load an image", f"no image {name!r}", f"one of: {', '.join(recipes)}")
    cluster = cluster_for()
    recipe = recipes[name]
    build_image(recipe, cluster.shop)
    fresh = cluster.load(recipe)
    say(f"{name}: loaded into {', '.join(fresh) or 'no node, all had it'}")
    if not fresh:
        return
    _restart_users(cluster, recipe, say)


def _restart_users(cluster: Cluster, recipe: Recipe, say: Say) -> None:
    """Restart what runs an image whose content changed under the same name."""
    listing = json.loads(cluster.kubectl("get", "deploy,statefulset", "-A", "-o", "json"))
    for item in listing["items"]:
        pod = item["spec"]["template"]["spec"]
        images = {container["image"] for container in pod["containers"]}
        if images & set(recipe.references):
            meta = item["metadata"]
            target = f"{item['kind'].lower()}/{meta['name']}"
            cluster.kubectl("-n", meta["namespace"], "rollout", "restart", target)
            say(f"restarted {meta['namespace']} {target}")
