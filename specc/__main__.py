"""`python -m specc` is the command line."""

import sys

from specc.tools.cli import program

sys.exit(program())
