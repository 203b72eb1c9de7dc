"""The steps of a derivation lead to the gradient, each is confirmed, and a step that is wrong is refused."""

from dataclasses import replace

import pytest

import nnderiv as nd
from nnderiv.derivative import _Reverse
from nnderiv.errors import CheckError
from nnderiv.expr import Op, Read, neg, num
from nnderiv.layers import ALL
from nnderiv.steps import confirm

CONVOLUTION = """
    X[N,C,H], K[O,C,U], int s, int p -> Y
    Y[n,o,i] = sum[c,u](K[o,c,u]*X[n,c,s*i+u-p])  for i < (H + 2*p - U)//s + 1
"""


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_steps_of_every_layer_are_confirmed_and_end_at_the_gradient(name):
    derivation = ALL[name].derivation
    gradient = next(iter(derivation))
    found = gradient.steps
    assert found and all(s.trials >= 3 and s.reason and s.latex for s in found)
    assert found[-1].after.body == nd.derive(derivation.forward, wrt=(gradient.wrt,))[gradient.wrt].definition.body


def test_each_step_begins_where_the_last_one_of_its_tensor_ended():
    last: dict[str, object] = {}
    for s in nd.derive(CONVOLUTION)["X"].steps:
        if s.before.tensor in last:
            assert s.before.body == last[s.before.tensor]
        last[s.after.tensor] = s.after.body


def test_the_stride_is_solved_for_and_the_range_of_the_seed_guards_itself():
    rules = [s.rule for s in nd.derive(CONVOLUTION)["X"].steps]
    assert rules[:2] == ["chain rule", "solve the subscript"] and "out of range is 0" in rules


def _corrupted(after, how):
    body = after.body
    if how == "sign":
        return replace(after, body=neg(body))
    if how == "factor":
        return replace(after, body=body * num(2))

    def shift(e):
        if isinstance(e, Read) and e.tensor == "dY":
            return Read(e.tensor, (*e.subs[:-1], e.subs[-1] + 1))
        from nnderiv.expr import map_children

        return map_children(shift, e)

    def without_condition(e):
        from nnderiv.expr import map_children

        return e.args[1] if isinstance(e, Op) and e.op == "where" else map_children(without_condition, e)

    return replace(after, body=shift(body) if how == "index" else without_condition(body))


@pytest.mark.parametrize("how", ["sign", "factor", "index", "condition"])
def test_a_corrupted_step_is_refused(how):
    program = nd.parse(CONVOLUTION)
    reverse = _Reverse(program, ("X",), record=True)
    backward = reverse.run().backward
    good = nd.derive(program, wrt=("X",))["X"].steps
    assert confirm(backward, good)
    bad = [replace(good[-1], after=_corrupted(good[-1].after, how))]
    with pytest.raises(CheckError, match="does not hold"):
        confirm(backward, bad)
