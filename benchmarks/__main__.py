"""`python -m benchmarks [deriving] [speed]`: print the tables."""

from __future__ import annotations

import sys

from . import deriving, speed

TABLES = {"deriving": deriving.table, "speed": speed.table}

for name in sys.argv[1:] or TABLES:
    if name not in TABLES:
        sys.exit(f"There is no table {name}; there are {', '.join(TABLES)}.")
    print(f"== {name}", flush=True)
    print(TABLES[name](), flush=True)
