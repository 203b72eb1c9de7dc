"""Print tables of times; the machine and the versions stand first, and `--json` records them with the numbers.

    python -m benchmarks                            every table
    python -m benchmarks rows                       the nine rows beside hand-written NumPy, PyTorch, JAX, autograd, numpy-ml
    python -m benchmarks layers                     layers of the tests' zoo beside PyTorch
    python -m benchmarks passes                     the nine rows with each pass of the emitter switched off
    python -m benchmarks products                   how much of the time is spent in products of matrices
    python -m benchmarks first chain                from the text to the first result; long chains of layers
    python -m benchmarks rows --only conv rnn       some rows
    python -m benchmarks rows --json run.json       record the run; tables that the file holds already stay
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from . import machine, tables


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="table", help=", ".join(tables.TABLES))
    parser.add_argument("--only", nargs="+", default=(), metavar="ROW", help="these rows alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="record the run in this file, beside the tables that it holds already")
    options = parser.parse_args()
    if unknown := [t for t in options.tables if t not in tables.TABLES]:
        parser.error(f"there is no table {unknown[0]}; there are {', '.join(tables.TABLES)}")
    recorded: dict[str, object] = json.loads(options.json.read_text(encoding="utf-8")) if options.json and options.json.exists() else {}
    recorded["machine"] = machine.description()
    print(json.dumps(recorded["machine"], ensure_ascii=False), flush=True)
    for name in options.tables or tables.TABLES:
        print(f"== {name}", flush=True)
        recorded[name] = records = []
        for record in tables.TABLES[name](options.only):
            records.append(record)
            print(tables.line(name, record), flush=True)
            if options.json:
                options.json.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


main()
