"""The command line: what pytest cannot do. Both doors call the same functions.

Room: door. It must not decide anything; it turns words into calls and errors into exit codes.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from acpchaos.errors import EXIT_USAGE, AcpchaosError
from lab.cli import lab


class _Group(click.Group):
    """Prints expected errors as they are meant to be read; usage errors end with 4."""

    def make_context(self, *words: Any, **more: Any) -> click.Context:
        with _usage():
            return super().make_context(*words, **more)

    def invoke(self, ctx: click.Context) -> object:
        try:
            with _usage():
                return super().invoke(ctx)
        except AcpchaosError as error:
            click.echo(f"acpchaos: {error}", err=True)
            ctx.exit(error.exit_code)


@contextmanager
def _usage() -> Iterator[None]:
    """Click's own usage errors end with 4, too; its 2 is no exit code of ours."""
    try:
        yield
    except click.UsageError as error:
        error.exit_code = EXIT_USAGE  # type: ignore[misc]  # read from the instance
        raise


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Prove that an ACP installation on Kubernetes survives what breaks it."""


main.add_command(lab)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
def check(run: Path) -> None:
    """Judge a run or review folder again, offline; the same record gives the same verdicts."""
    from acpchaos.check.judge import rejudge
    from acpchaos.check.posture.folder import is_review
    from acpchaos.check.verdict import Outcome, exit_code, merge
    from acpchaos.report.terminal import print_claims

    if is_review(run):
        sys.exit(_recheck_posture(run))
    judged = rejudge(run)
    print_claims(judged)
    outcomes = [claim.verdict.outcome for claim in judged]
    if not _mutations_hold(run):
        outcomes.append(Outcome.INCONCLUSIVE)
    sys.exit(exit_code(merge(outcomes)))


def _mutations_hold(run: Path) -> bool:
    """Whether the journal of mutations is whole; True for runs from before there was one."""
    from acpchaos.record.mutations import FILE, read_chain

    if not (run / FILE).exists():
        return True
    chain = read_chain(run / FILE)
    state = "broken" if chain.faults else "whole"
    click.echo(f"mutations: {len(chain.calls)} calls, the chain of {FILE} is {state}")
    for line in [*chain.faults, *(f"no outcome told: {each}" for each in chain.unfinished)]:
        click.echo(f"  {line}")
    return not chain.faults


def _recheck_posture(path: Path) -> int:
    from acpchaos.check.posture.folder import rejudge
    from acpchaos.check.verdict import exit_code, merge
    from acpchaos.report.posture_terminal import print_rows

    rows = rejudge(path)
    print_rows(rows)
    return exit_code(merge(row.verdict.outcome for row in rows))


@main.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("evidence.html"))
def report(runs: tuple[Path, ...], out: Path) -> None:
    """Make one evidence page of one or more run folders."""
    from acpchaos.report.evidence import write_evidence

    click.echo(write_evidence(list(runs), out))


@main.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
def repeats(runs: tuple[Path, ...]) -> None:
    """Judge several plays of the same scenario together: median with its interval, maximum, n, and
    the share of failures that is still possible. Play them by pytest's --chaos-repeats N.
    """
    from acpchaos.check.repeats import repeats as together
    from acpchaos.check.verdict import exit_code, merge
    from acpchaos.record.run import load_run
    from acpchaos.report.repeats import lines

    found = together(load_run(run) for run in runs)
    click.echo("\n".join(lines(found)))
    sys.exit(exit_code(merge(each.outcome for each in found)))


_EXISTING = click.Path(path_type=Path, exists=True)
_NEW = click.Path(path_type=Path, dir_okay=False)


@main.command()
@click.option("--target", default="", help="target profile (default: kind, or what DIR tells)")
@click.option("--snapshot", type=_EXISTING, help="judge this snapshot; no cluster is touched")
@click.option("--manifests", type=_EXISTING, help="judge rendered manifests, file or folder")
@click.option(
    "--allow-probes", is_flag=True, help="probe actively: logins, pods in a scratch space"
)
@click.option("--waivers", type=_EXISTING, help="accepted findings (TOML)")
@click.option("--attestations", type=_EXISTING, help="what people attest (TOML)")
@click.option("--attester", multiple=True, metavar="NAME=FILE", help="public key of an attester")
@click.option("--sarif", type=_NEW, help="write SARIF 2.1.0 for code-scanning pages")
@click.option("--markdown", type=_NEW, help="write a Markdown summary")
@click.option("--html", type=_NEW, help="write the evidence page")
@click.option("--compare", type=_EXISTING, help="another review's folder: tell rows that differ")
@click.option("--sort", type=click.Choice(["outcome", "id"]), default="outcome", show_default=True)
@click.option("--reports", type=click.Path(path_type=Path), default=Path("reports"))
def posture(
    sarif: Path | None, markdown: Path | None, html: Path | None, sort: str, reports: Path,
    attester: tuple[str, ...], compare: Path | None, **asked: Any,
) -> None:  # fmt: skip
    """Judge the 53 hardening rows on a cluster, a snapshot or rendered manifests.

    Reads only, unless --allow-probes. Exit code: 0 all held, 1 a row failed, 10 a row could not be
    decided and none failed, 4 usage.
    """
    from acpchaos.check.posture.folder import ReviewFolder, read_rows
    from acpchaos.check.verdict import exit_code, merge
    from acpchaos.report.posture_terminal import difference_lines, print_rows
    from acpchaos.report.progress import Progress
    from acpchaos.review import Wish, read_attesters, review

    other = read_rows(compare) if compare else []
    done = review(Wish(attesters=read_attesters(attester), **asked), reports, Progress())
    folder = ReviewFolder(done.folder)
    for own, wanted in (
        (folder.sarif, sarif), (folder.summary, markdown), (folder.evidence, html),
    ):  # fmt: skip
        if wanted is not None:
            wanted.parent.mkdir(parents=True, exist_ok=True)
            wanted.write_bytes(own.read_bytes())
    print_rows(done.rows, by_id=sort == "id")
    if compare is not None:
        click.echo("\n".join(["", f"against {compare}:", *difference_lines(other, done.rows)]))
    click.echo(f"evidence: {folder.evidence}")
    sys.exit(exit_code(merge(row.verdict.outcome for row in done.rows)))


@main.command()
@click.argument("row")
@click.option("--text", required=True, help="what was looked at, and what was found")
@click.option("--owner", required=True, help="who says so: a name of [posture.attesters]")
@click.option("--key", required=True, type=_EXISTING, help="private Ed25519 or P-256 key, PEM")
@click.option("--target", default="kind", show_default=True, help="the profile it is said of")
@click.option("--file", "path", type=_NEW, default=Path("attestations.toml"), show_default=True)
def attest(row: str, text: str, owner: str, key: Path, target: str, path: Path) -> None:
    """Sign what only a person can say of ROW, dated today, and add it to a file."""
    from acpchaos.check.posture.attestations import append, public_half
    from acpchaos.review import attested

    made = attested(row, text=text, owner=owner, private_pem=key.read_bytes(), target=target)
    click.echo(append(made, path))
    click.echo(f"verified by, in the profile: [posture.attesters]\n{owner} = ", nl=False)
    click.echo(f'"{public_half(key.read_bytes())}"')


@main.command()
@click.argument("run", default="all")
@click.option("--target", default="kind", show_default=True, help="target profile")
@click.option("--reports", type=click.Path(path_type=Path), default=Path("reports"))
def undo(run: str, target: str, reports: Path) -> None:
    """Revert everything that RUN (default: all) has changed and recorded. Safe to repeat."""
    from acpchaos.faults.undo import undo_run
    from acpchaos.record.mutations import Mutations, file_of
    from acpchaos.target.profile import load_profile

    journals: list[Mutations] = []

    def journal(each: str) -> Mutations:
        journals.append(Mutations(file_of(reports, each)))
        return journals[-1]

    try:
        reverted = undo_run(load_profile(target), run, hook_of=journal)
    finally:
        for each in journals:
            each.close_if_possible()
    click.echo("\n".join(f"reverted {each}" for each in reverted) or "nothing was left changed")


@main.command()
@click.argument("experiment", type=_EXISTING)
@click.option("--target", default="kind", show_default=True, help="target profile")
@click.option("--set", "given", multiple=True, metavar="KEY=VALUE", help="configuration")
def plan(experiment: Path, target: str, given: tuple[str, ...]) -> None:
    """Print what EXPERIMENT would do to the target now, by UID, and touch nothing.

    For suites: pytest suites --chaos-target NAME --chaos-dry-run
    """
    from acpchaos.plan import plan_experiment
    from acpchaos.target.profile import load_profile

    pairs = [each.partition("=") for each in given]
    configuration = {key: value for key, _, value in pairs}
    click.echo("\n".join(plan_experiment(experiment, load_profile(target), configuration)))


@main.command()
@click.argument("experiments", type=_EXISTING, nargs=-1)
@click.option("--target", default="kind", show_default=True, help="target profile")
@click.option("--account", default="acp-system/acpchaos", show_default=True, metavar="NS/NAME")
@click.option("--name", default="acpchaos", show_default=True, help="of all roles and bindings")
@click.option("--reaper", is_flag=True, help="those of the reaper in the cluster instead")
def rbac(
    experiments: tuple[Path, ...], target: str, account: str, name: str, reaper: bool
) -> None:  # fmt: skip
    """Print the least roles that EXPERIMENTS (default: all) need, bound to a service account.

    Nothing is asked of a cluster. Apply it with: acpchaos rbac | kubectl apply -f -
    """
    import yaml

    from acpchaos.faults import rights
    from acpchaos.target.profile import PROJECT, load_profile

    space, slash, account_name = account.partition("/")
    if not (space and slash and account_name):
        raise click.UsageError("--account needs NAMESPACE/NAME")
    profile = load_profile(target)
    files = experiments or sorted((PROJECT / "experiments").glob("*.yaml"))
    of = rights.of_reaper if reaper else rights.of_experiment
    wanted = [right for file in files for right in of(file, profile)]
    made = rights.manifests(name, wanted, (space, account_name))
    click.echo(yaml.safe_dump_all(made, sort_keys=False), nl=False)


@main.command()
@click.option("--target", default="kind", show_default=True, help="target profile")
def doctor(target: str) -> None:
    """One table of what a play needs; each line that is not ok says what to type."""
    from acpchaos.doctor import examine
    from acpchaos.report.terminal import print_findings

    findings = examine(target)
    print_findings(findings)
    sys.exit(0 if all(finding.ok for finding in findings) else 4)


@main.command()
@click.option("--target", default="kind", show_default=True, help="target profile")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="a new folder")
def snapshot(target: str, out: Path) -> None:
    """Gather what the hardening rows are judged from, without a secret in it; reads only."""
    from acpchaos.posture.take import take
    from acpchaos.record.snapshot import require_unused, write
    from acpchaos.target.profile import load_profile

    require_unused(out)
    click.echo(write(take(load_profile(target), click.echo), out))


if __name__ == "__main__":
    main()
