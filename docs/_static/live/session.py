"""What the live page asks of the engine: a text in the notation -> all that follows from it, as data for the page.

The same functions run in the browser and, while the book is built, for every definition that the book links to the page.
They import nothing but nnderiv, and need no NumPy: checks are those of the interpreter.
"""

import json

import nnderiv as nd
from nnderiv.errors import NNDerivError
from nnderiv.forms import form_latex

STAGES = ("gradients", "code", "check")
_last = {}


def derivation(text):
    """Of the last text only: an edit makes the one before worthless."""
    if text not in _last:
        found = nd.derive(text)
        _last.clear()
        _last[text] = found
    return _last[text]


def gradients(text):
    d = derivation(text)
    known, final = {*d.forward.definitions, *d.gradients.names.values()}, [g.definition for g in d]
    inner = [e for e in d.backward.equations if e.tensor not in known]
    wrt = {gradient: name for name, gradient in d.gradients.names.items()}
    return {
        "inner": [formula(d, e) for e in inner],
        "gradients": [formula(d, e) | {"wrt": wrt[e.tensor]} for e in final],
    }


def formula(d, e):
    """An equation of the gradient program: index form, and matrix form or the reason why there is none."""
    shown = {"name": e.tensor, "text": str(e), "index": form_latex(d.backward, e, "index")}
    try:
        return shown | {"matrix": form_latex(d.backward, e, "matrix")}
    except NNDerivError as reason:
        return shown | {"no_matrix": str(reason)}


def code(text):
    return {"numpy": derivation(text).numpy()}


def check(text):
    report = derivation(text).check(seed=0, code=False)
    return {"ok": report.ok, "seed": report.seed, "rows": [list(r.cells) for r in report.results]}


def steps(text, name):
    """The derivation of one gradient, with the one that it rests on."""
    return {"steps": [step(s) for s in derivation(text)[name].steps]}


def step(s):
    return {"rule": s.rule, "said": s.said, "latex": s.latex, "trials": s.trials}


def error(problem):
    """What went wrong, and where in the text, if that is known."""
    place = getattr(problem, "position", None)
    said = [str(part) for part in (getattr(problem, "reason", ""), getattr(problem, "repair", "")) if part]
    kind = type(problem).__name__
    return {"error": "\n".join(said) if place is not None else str(problem) or kind, "kind": kind, "position": place}


def stage(kind, text, name=""):
    """One stage of the work, as JSON; ``name``: the input whose derivation is wanted."""
    try:
        return json.dumps(globals()[kind](text, name) if kind == "steps" else globals()[kind](text))
    except NNDerivError as problem:
        return json.dumps(error(problem))
    except RecursionError:
        return json.dumps({"error": "This definition is nested too deeply.", "kind": "RecursionError", "position": None})


def everything(text):
    """All stages at once, as data: what the page shows where no Python runs in the browser.

    Derivations are left out where there are many equations: they would fill the page and the time of the build.
    """
    found = {kind: json.loads(stage(kind, text)) for kind in STAGES}
    d = derivation(text)
    if len(d.backward.equations) <= 8 and not d.backward.components:
        found["steps"] = {name: json.loads(stage("steps", text, name)) for name in d.wrt}
    return found
