"""`python -m lab`: the same commands as `acpchaos lab`."""

from lab.cli import lab

lab(prog_name="acpchaos lab")
