"""Look through the EPUB that Sphinx wrote, and pack it again so that the same book gives the same file: epub.py FOLDER TARGET

Every page must be well-formed, with its mathematics as MathML and nothing that a reader would fetch or run.
"""

import re
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

XHTML = "{http://www.w3.org/1999/xhtml}"
MATHML = "{http://www.w3.org/1998/Math/MathML}"


def complaints(name: str, text: str) -> list[str]:
    """What is wrong with a page."""
    try:
        page = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", text).replace("&nbsp;", "\u00a0"))
    except ElementTree.ParseError as problem:
        return [f"{name}: not well-formed: {problem}"]
    found = []
    for box in page.iter():
        kinds = (box.get("class") or "").split()
        if box.tag in (f"{XHTML}div", f"{XHTML}span") and "math" in kinds and box.find(f".//{MATHML}math") is None:
            found.append(f"{name}: a formula that is no MathML: {''.join(box.itertext())[:80]}")
        source = box.get("src") or ""
        if box.tag == f"{XHTML}script" or source.startswith(("http:", "https:")):
            found.append(f"{name}: runs or fetches something: {box.tag} {source}")
    return found


def main(folder: Path, target: Path) -> int:
    (book,) = folder.glob("*.epub")
    found, formulas = [], 0
    with zipfile.ZipFile(book) as source, zipfile.ZipFile(target, "w") as packed:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename.endswith(".xhtml"):
                found += complaints(entry.filename, content.decode())
                formulas += content.count(b"<math ")
            kind = zipfile.ZIP_STORED if entry.filename == "mimetype" else zipfile.ZIP_DEFLATED
            packed.writestr(zipfile.ZipInfo(entry.filename), content, kind)
    if formulas < 100:
        found.append(f"only {formulas} formulas in the whole book")
    for complaint in found:
        print(complaint, file=sys.stderr)
    print(f"{target}: {formulas} formulas, {target.stat().st_size/1e6:.1f} MB")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
