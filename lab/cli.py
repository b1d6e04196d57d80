"""The door to the lab: `acpchaos lab up|down|status|load`. Words in, calls out; no knowledge of its
own.
"""

import sys
from collections.abc import Callable
from functools import wraps

import click
from rich.console import Console

from lab import published, status, up
from lab.images import all_recipes
from lab.kindconfig import CONTROL_PLANES
from lab.process import LabError
from lab.steps import StepFailed

EXIT_LAB_FAILED = 10  # the design's word for "no verdict possible"
_console = Console(highlight=False, soft_wrap=True)


def _say(line: str) -> None:
    _console.print(line, markup=False)


def _explained[**P](command: Callable[P, None]) -> Callable[P, None]:
    """Expected errors become a message with a remedy; Ctrl-C says that nothing done is lost."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except StepFailed as failed:
            click.echo(failed.text, err=True)
            sys.exit(EXIT_LAB_FAILED)
        except LabError as failed:
            click.echo(f"{failed}\n  remedy: {failed.remedy}", err=True)
            sys.exit(EXIT_LAB_FAILED)
        except KeyboardInterrupt:
            click.echo("stopped; finished steps are kept, run the same command to go on", err=True)
            sys.exit(130)

    return guarded


@click.group()
def lab() -> None:
    """A three-zone kind cluster with real stores and ACP's stand-in, made to be broken."""


@lab.command("up")
@click.option("--size", type=click.Choice(list(CONTROL_PLANES)), default="default")
@click.option("--images", type=click.Choice(["auto", "published", "built"]), default="auto")
@click.option(
    "--install",
    type=click.Choice(sorted(up.OVERLAYS)),
    default="hardened",
    show_default=True,
    help="ACP as it should be run, or as the chart installs it when no value is set",
)
@click.option("--bare", is_flag=True, help="the cluster alone, without stores and ACP")
@_explained
def up_command(size: str, images: str, install: str, bare: bool) -> None:
    """Make the lab ready, from whatever is there already."""
    source = _source(images)
    up.up(up.Plan(size=size, images=source, install=install, bare=bare), _say)


def _source(images: str) -> str:
    if images != "auto":
        return images
    source = "published" if published.reachable() else "built"
    _say(f"images: {source} (chosen; --images built|published forces one)")
    return source


@lab.command("down")
@_explained
def down_command() -> None:
    """Take the lab away: containers, volumes, network, state. Built artefacts stay cached."""
    cluster = up.cluster_for()
    with up.only_one(cluster.state.root):
        count = cluster.remove()
        _say(f"removed {count} nodes and the state of cluster {cluster.name}")


@lab.command("status")
@_explained
def status_command() -> None:
    """Nodes, zones, workloads, endpoints and versions in one table."""
    _console.print(status.table(up.cluster_for()))


@lab.command("load")
@click.argument("image")
@_explained
def load_command(image: str) -> None:
    """Rebuild one image, load it into the running lab, restart what uses it."""
    up.load_one(image, all_recipes(), _say)
