"""The command line: what pytest cannot do. Both doors call the same functions.

Room: door. It must not decide anything; it turns words into calls and errors into exit codes.
"""

import sys
from pathlib import Path

import click

from acpchaos.errors import AcpchaosError
from lab.cli import lab


class _Group(click.Group):
    """Prints expected errors as they are meant to be read; usage errors end with 4."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AcpchaosError as error:
            click.echo(f"acpchaos: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Prove that an ACP installation on Kubernetes survives what breaks it."""


main.add_command(lab)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
def check(run: Path) -> None:
    """Judge a run folder again, offline; the same record gives the same verdicts."""
    from acpchaos.check.judge import rejudge
    from acpchaos.check.verdict import exit_code, merge
    from acpchaos.report.terminal import print_claims

    judged = rejudge(run)
    print_claims(judged)
    sys.exit(exit_code(merge(claim.verdict.outcome for claim in judged)))


@main.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("evidence.html"))
def report(runs: tuple[Path, ...], out: Path) -> None:
    """Make one evidence page of one or more run folders."""
    from acpchaos.report.evidence import write_evidence

    click.echo(write_evidence(list(runs), out))


@main.command()
@click.argument("run", default="all")
@click.option("--target", default="kind", show_default=True, help="target profile")
def undo(run: str, target: str) -> None:
    """Revert everything that RUN (default: all) has changed and recorded. Safe to repeat."""
    from acpchaos.faults.undo import undo_run
    from acpchaos.target.profile import load_profile

    reverted = undo_run(load_profile(target), run)
    click.echo("\n".join(f"reverted {each}" for each in reverted) or "nothing was left changed")


@main.command()
@click.option("--target", default="kind", show_default=True, help="target profile")
def doctor(target: str) -> None:
    """One table of what a play needs; each line that is not ok says what to type."""
    from acpchaos.doctor import examine
    from acpchaos.report.terminal import print_findings

    findings = examine(target)
    print_findings(findings)
    sys.exit(0 if all(finding.ok for finding in findings) else 4)


if __name__ == "__main__":
    main()
