"""`python -m nnderiv` is the command `nnderiv`."""

import sys

from .cli import main

sys.exit(main())
