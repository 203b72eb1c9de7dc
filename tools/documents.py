"""Every layer's LaTeX document, compiled: python tools/documents.py FOLDER [LAYER …]; needs pdflatex.

Writes FOLDER/<layer>.tex and .pdf, with the gradients in index form, step by step, and once more in matrix form. Exit code 1 where
TeX reports an error.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from nnderiv import layers
from nnderiv.display import document


def main(folder: str, *names: str) -> int:
    place, failed = Path(folder), []
    place.mkdir(parents=True, exist_ok=True)
    for name in names or layers.ALL:
        (place / f"{name}.tex").write_text(document(layers.ALL[name].derivation), encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        result = subprocess.run(command, cwd=place, capture_output=True, text=True, errors="replace", check=False, timeout=120)
        wide = re.findall(r"Overfull \\hbox \((\d+)", result.stdout)
        print(f"{name}: {'compiled' if not result.returncode else 'FAILED'}{f', {len(wide)} wide lines' if wide else ''}", flush=True)
        if result.returncode:
            failed.append(name)
            print(result.stdout[-1500:])
    print(f"{len(names or layers.ALL) - len(failed)} documents compiled, {len(failed)} failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
