"""Room lab/standin: the image's entry point, `python -m lab.standin server start ...`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
