"""Whatever is handed to a public function is taken for what it is, or refused by an error that says what was expected."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnderiv as nd

TEXT = "X[N,I], W[I,O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o])"
D = nd.derive(TEXT)
INPUTS = {"X": np.ones((2, 3)), "W": np.ones((3, 4))}
ODD = [None, 1, -1, 1.5, True, 1j, float("nan"), b"x", "", "zz", [], [1], (1, 2), {1}, {}, {"a": 1}, {1: 2}, object(), len,
       np.ones(3), np.ones((2, 2)), np.array("s")]
TAKES: dict[str, tuple[Callable[[Any], Any], tuple[Any, ...]]] = {  # a call with one argument -> what else than the odd it takes
    "parse": (nd.parse, (TEXT,)),
    "derive": (nd.derive, (TEXT, D.forward)),
    "wrt": (lambda x: nd.derive(TEXT, wrt=x), ("X", ["X", "W"], ("W",), {"X"})),
    "program": (lambda x: nd.evaluate(x, INPUTS), (TEXT, D.forward)),
    "inputs": (lambda x: nd.evaluate(TEXT, x), (INPUTS,)),
    "an input": (lambda x: nd.evaluate(TEXT, {**INPUTS, "X": x}), (INPUTS["X"],)),
    "outputs": (lambda x: nd.evaluate(TEXT, INPUTS, x), ("Y", ["Y"])),
    "a gradient": (lambda x: D[x], ("X",)),
    "sizes": (lambda x: D.numpy(sizes=x), ({"N": 1}, {"N": np.int64(2)})),
    "a size": (lambda x: D.compile(sizes={"N": x}), (3, 0)),
    "without": (lambda x: D.numpy(without=x), ("nest", ["nest", "share"])),
    "threads": (lambda x: D.numpy(threads=x), (2, np.int32(1))),
    "form": (lambda x: D["X"].latex(form=x), ("index", "matrix")),
    "forms": (lambda x: D.latex(x), ("index", "matrix")),
    "seed": (lambda x: D.check(seed=x, trials=1, code=False), (3, np.int64(3))),
    "trials": (lambda x: D.check(trials=x, code=False), (2,)),
    "module": (lambda x: D.check(trials=1, exact=False, module=x), (D.compile(),)),
    "lhs": (lambda x: nd.prove(x, TEXT), (TEXT, D.forward)),
    "rhs": (lambda x: nd.prove(TEXT, x), (TEXT,)),
    "given": (lambda x: nd.prove("a + a", "2*a", x, where="a"), ((), ["a > 0"])),
    "where": (lambda x: nd.prove("a + a", "2*a", where=x), ("a", nd.parse("a -> b\nb = a"))),
    "seed of a proof": (lambda x: nd.prove("a + a", "2*a", where="a", seed=x), (1,)),
    "trials of a proof": (lambda x: nd.prove("a + a", "2*a", where="a", trials=x), (1,)),
    "equations": (nd.Program.from_sympy, (D.forward.sympy(),)),
    "inputs from SymPy": (lambda x: nd.Program.from_sympy(D.forward.sympy(), inputs=x), (["X", "W"],)),
    "outputs from SymPy": (lambda x: nd.Program.from_sympy(D.forward.sympy(), outputs=x), ("Y", ["Y"])),
}


@pytest.mark.parametrize("name", TAKES)
def test_what_is_odd_is_refused_in_words_or_taken(name: str) -> None:
    call, others = TAKES[name]
    for value in others:
        call(value)
    for value in ODD:
        try:
            call(value)
        except (ValueError, KeyError) as error:
            assert isinstance(error, nd.NNDerivError) or name in ("a gradient", "sizes", "a size", "without", "threads")
            assert "ambiguous" not in str(error) and str(error)


def test_a_refusal_says_what_came_and_what_was_expected() -> None:
    with pytest.raises(nd.CheckError, match="seed is 'a'; expected a whole number"):
        D.check(seed="a")
    with pytest.raises(nd.DerivationError, match=r"wrt holds 1; expected names"):
        nd.derive(TEXT, wrt=("X", 1))
    with pytest.raises(ValueError, match=r"sizes is \[1\]; expected values by name"):
        D.numpy(sizes=[1])
    assert all(value not in D for value in ODD)
