"""`python -m specc` is the command line."""

import sys

from specc.tools.cli import main

sys.exit(main())
