"""A derivation in steps, folded until the reader opens it.

    steps(d["W"])                        every move: its rule, its reason, the line it leads to, and how it was tested
    steps(d["W"], method="differentials")   the same for the second method: differentials and the trace
"""

from fractions import Fraction
from typing import Any

from blocks import Block, key, title

from nnderiv import Gradient


def steps(gradient: Gradient, summary: str = "", *, method: str = "rule") -> Block:
    """The steps of one gradient, by the one rule or by "differentials"; ``summary`` is the line that is always seen."""
    found = as_data(gradient, method)
    if not found:
        raise ValueError(f"{gradient.name} is reached without a step")
    d = gradient.derivation
    content = {"tensor": gradient.name, "of": title(d.forward), "key": key(d.forward), "steps": found,
               "summary": summary or f"Derivation of {gradient.name} in {len(found)} step{'s' * (len(found) > 1)}"}
    return Block("steps", content, "\n".join(f"{s['rule']}: {s['text']}" for s in found))


def as_data(gradient: Gradient, method: str = "rule") -> list[dict[str, Any]]:
    """Each step as the page needs it. A step that was not tested is no step."""
    found = []
    if method not in ("rule", "differentials"):
        raise ValueError(f"method is {method!r}; it can be 'rule' or 'differentials'")
    for s in gradient.steps if method == "rule" else gradient.differential_steps:
        if not s.trials and not getattr(s, "proof", None):
            raise AssertionError(f"a step of {gradient.name} was never tested: {s}")
        found.append({"rule": s.rule, "reason": s.reason, "said": s.said, "latex": s.latex, "text": str(s.after), "tested": tested(s)})
    return found


def tested(step: Any) -> str:
    """How a step was tested: the number of trials, and how likely a wrong step would have passed them, where it is known."""
    trials = f"{step.trials} random trial{'s' * (step.trials != 1)}"
    chance = next((c for name in ("failure", "failure_probability", "probability") if (c := getattr(step, name, None)) is not None), None)
    if chance is None:
        return trials
    if isinstance(chance, (int, float, Fraction)):
        return f"{trials}; a wrong step passes with a probability below {float(chance):.0e}" if chance else "proved"
    return f"{trials}; {chance}"
