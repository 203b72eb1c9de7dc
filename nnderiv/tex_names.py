r"""Names -> LaTeX: dW is \mathrm{d}W, h0 is h_{0}, Y_lse is Y^{\mathrm{lse}}, xhat is \hat{x}, theta is \theta."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sympy import Symbol
from sympy import latex as sympy_latex

_NAME = re.compile(
    r"(?P<base>[A-Za-z]+?)(?P<accent>hat|bar|tilde)?(?P<digits>\d*)(?P<tags>(?:_[A-Za-z0-9]+)*)(?P<primes>_*)"
)
_LETTERS = {"eps": r"\varepsilon", "ell": r"\ell", "lam": r"\lambda"}
_LABELLED = re.compile(r"([KQRUVW]|b)([a-z])")  # Wq, bi: a letter with an upright label


@dataclass(frozen=True)
class Name:
    """A name as it is typeset: a symbol with what stands below and above it."""

    symbol: str
    below: tuple[str, ...] = ()
    above: tuple[str, ...] = ()

    def text(self, subscripts: str = "", superscript: str = "") -> str:
        """With subscripts; a name that has a number of its own is put in brackets before them."""
        if self.below and subscripts:
            return f"({self.text()}){_script('_', subscripts)}{_script('^', superscript)}"
        comma = "," if self.above and superscript.startswith("(") else ""
        above = ",".join(self.above) + comma + superscript
        if self.below:
            return self.symbol + _script("_", ",".join(self.below)) + _script("^", above)
        return self.symbol + _script("^", above) + _script("_", subscripts)


def _script(mark: str, content: str) -> str:
    return f"{mark}{{{content}}}" if content else ""


@lru_cache(maxsize=4096)
def typeset(name: str, differential: bool = True) -> Name:
    r"""dW -> \mathrm{d}W, h0 -> h_{0}, Y_lse -> Y^{\mathrm{lse}}, xhat -> \hat{x}, theta -> \theta, Wq -> W_{\mathrm{q}}."""
    match = _NAME.fullmatch(name)
    if match is None:
        return Name(r"\mathrm{" + name.replace("_", r"\_") + "}")
    if differential and name[0] == "d" and len(name) > 1 and _is_symbol(name[1:]):
        inner = typeset(name[1:])
        return Name(r"\mathrm{d}" + inner.symbol, inner.below, inner.above)
    base, accent = match["base"], match["accent"]
    if accent and not _letter(base):
        base, accent = base + accent, None
    label = _LABELLED.fullmatch(base) if not _letter(base) else None
    symbol = label[1] if label else _letter(base) or rf"\mathrm{{{base}}}"
    tags = [t for t in match["tags"].split("_") if t]
    below = [rf"\mathrm{{{label[2]}}}" if label else "", match["digits"], *(t for t in tags if t.isdigit())]
    above = [*(rf"\mathrm{{{t}}}" for t in tags if not t.isdigit()), r"\prime" * len(match["primes"])]
    return Name(rf"\{accent}{{{symbol}}}" if accent else symbol, tuple(filter(None, below)), tuple(filter(None, above)))


def _letter(base: str) -> str:
    """A single letter or a Greek one in LaTeX, else nothing."""
    if len(base) == 1:
        return base
    greek = base in _LETTERS or sympy_latex(Symbol(base)) == f"\\{base}"
    return (_LETTERS.get(base) or f"\\{base}") if greek else ""


def _is_symbol(name: str) -> bool:
    """Whether a d before this name is a differential: it is a decorated letter, or the differential of one."""
    match = _NAME.fullmatch(name)
    if match is None:
        return False
    return bool(_letter(match["base"]) or _LABELLED.fullmatch(match["base"])) or (name[0] == "d" and len(name) > 1 and _is_symbol(name[1:]))


def name_latex(name: str) -> str:
    """An index, a size or a parameter."""
    return typeset(name, differential=False).text()
