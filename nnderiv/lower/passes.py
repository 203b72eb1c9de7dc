"""The passes, in order, and a switch for each. Each gives what computes the same as what it is given.

A program, before its gradients are taken:

    narrow       of an axis of which one place is read, that place alone is computed
    bare         a read is not guarded where it is outside, and 0
    beforehand   what is read in overlapping windows, or again at each step, is scaled before, and so are functions of windows
    decayed      a sum that fades from step to step is the sum before, faded by one step, and one more
    factored     a product of several matrices is one product after the other, each with a name

Programs (equations) -> programs:

    one_size     a size that must equal what others come to is that
    balance      exponentials that are added up are scaled by their largest, where that cancels
    shifted      quotients and logarithms of exponentials are shifted, as in a softmax
    normalised   S − logsumexp(S) is one tensor wherever it is read
    summands     the exponentials that a logsumexp adds up are kept, if backward asks which share of it each has
    sparse       what stands at one place of each row is not stored between zeros
    apart        what is another thing at each place of an axis is computed place by place
    held         what is held between two numbers is so computed, and not chosen
    continued    what goes on in another way from a number on, as ELU does, is a function of what is held there, and not chosen
    branches     what both branches of a choice have in common stands outside of it
    both_sides   softplus(x) and softplus(−x) share their exponential, as in a logistic loss
    looked_up    what both look up at data is looked up once
    recall       a function that both need is computed once
    other_side   1 − σ(x) is σ(−x), where nobody asks for σ(x)
    stacked      products of one tensor with several matrices are one, forward and backward
    in_one       a function of several gates of one tensor is computed for all of them at once
    scaled       what a product is scaled by goes into an operand, for both
    slopes       what a maximum hands on is its slope, times a finite factor, and not a choice
    guarded      what one factor makes 0 may be infinite by another
    from_output  a gradient asks a function's output where that says the same as its argument
    gate         what several gradients take of a tensor under one condition is a tensor
    exchange     a contraction that is known already is not computed again in another order
    inline       what is subtracted is not negated first
    turned       a product with a difference that another has the other way round is minus that product
    on_diagonal  what a recurrence has on its diagonal is a tensor of its own, if fewer loops follow it then
    unmask       what is zero already is not set to zero again
    pieces       what a recurrence leaves at its end is a tensor of its own
    distribute   a sum of products of matrices is one product for each
    axis_by_axis windows along two axes go along one after the other
    written_out  a window of a few places, inside its tensor, is written place by place
    skew         what depends on i and i − j, as relative positions do, is a product of matrices, read askew
    spread       what is read at a//s is written s places at a time
    wrapped      a sum around a circle slides along a tensor that goes on past its ends
    whole_steps  a sum over what a step divides runs over the steps
    one_block    a sum over blocks, of which an index lies in one, is what that block adds
    thresholds   what is compared with a number is compared as it stands: x + 3 > 0 is x > −3
    one_place    a sum over an index that must be at one place is what stands there
    gathered     what several terms add at the places of one look-up is added up before
    mirror       sums that differ by an exchange of two indices, as over pairs, share what they have in common
    running      a sum up to each step is the sum before, and one more
    split        an index that is used by its quotient and remainder is two
    blocks       what is another thing in each part of an axis is computed part by part
    remembered   a product that is a tensor already is read where its factors stand: y in dy·a·s, of y = a·s
    recentre     the kernel stays and the image slides
    one_window   of several products of matrices over windows, each is a tensor
    carry        what a step hands to the next is computed where its parts are
    at_once      what a step only multiplies, to multiply it again, is multiplied once
    hoist        what a recurrence need not wait for is computed before it
    common       a function that is a tensor already, there or a step further, is read
    bracketed    what several terms are multiplied by stands before their sum, if it has all of its indices
    untangle     a name that hides the order of a recurrence is written in where it is read

Loops -> statements:

    accumulate   a recurrence whose step is one operation is that operation's accumulate; one that is linear, or an extreme, is a scan,
                 and so is a linear one that looks back at several rows

Items (`form`) -> items:

    share        what is computed twice is computed once
    masks        what two loops over the same places of windows compare is kept, place by place
    invariant    what a loop computes anew at every step is computed before it
    sign         the minus before a product goes to a number in it, or turns a difference
    in_place     results take the memory of operands that nobody needs any more
    abreast      where one row is an operand for all rows of an array, several rows are worked on at a time
    dot          a step's products of two matrices are called by their fastest name
    nest         what is used once is written where it is used

Before them, what the emitter may choose, each with its switch too:

    by_diagonal  a table whose entries wait for their neighbours goes diagonal by diagonal
    by_image     products of matrices over windows go by blocks of images
    by_group     rows that look up one matrix are multiplied with it together
    by_place     other windows are walked through, place by place of the kernel
    by_part      what has an index in common goes by parts of it that stay in cache, or on several threads; sums over it too
    rows         Σ_k A[i,k] B[i,k] is a dot product of rows, and Σ_k A[i,k] one with ones: no product in memory
    spots        where(y[n] == k, x, 0) is x, added at y[n]; where(t == 0, x, 0) is x, added to the first row
    slabs        where(lo <= t and t < hi, x, 0) is x, computed for these t and added there; so is what reads outside its tensor
    indicator    where(c, x, 0) with finite x is x·c; what else depends on data is chosen by bits, not by branches
    few          in 2 λ X[n,c,i] g[c]/s[n] the numbers are multiplied first, then the factors over few indices
    clip         max(x, c) and min(x, c) with numbers c are x.clip(…), in a third of the time
    rolls        A[(i + 1) % n], read all around, is A rolled
    digits       A[i//m,i%m] is a view with an axis for i//m and one for i%m, cut off where m divides no range of i
    squares      a whole power of an array is a product of squares
    buffers      where rows or columns are repeated over many entries, NumPy joins rows in buffers that stay in cache
    front        in max_j (A[j,k] + x[n,j]) what is reduced stands first, so that rows are long
    log_products log Σ_k exp(x[i,k] + y[k,j]) is the logarithm of a product of matrices; so are steps of a chain, of their factors
    differences  Σ_k (x[i,k] − y[j,k])² goes place by place along a short k, for all i and j at once, or is a product of matrices

`d.numpy(without=("in_place",))` and `d.compile(without=…)` leave passes out; the results stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from ..integer import Int
from ..program import Program
from .equations.apart import apart
from .equations.at_once import at_once
from .equations.axis_by_axis import axis_by_axis
from .equations.bare import bare
from .equations.beforehand import beforehand
from .equations.blocks import blocks
from .equations.both_sides import both_sides
from .equations.bracketed import bracketed
from .equations.branches import branches
from .equations.carry import carry
from .equations.common import common
from .equations.continued import continued
from .equations.decayed import decayed
from .equations.distribute import distribute
from .equations.exchange import exchange
from .equations.explicit import make_explicit
from .equations.factored import factored
from .equations.from_output import from_output
from .equations.gate import gate
from .equations.gathered import gathered
from .equations.guarded import guarded
from .equations.held import held
from .equations.hoist import hoist
from .equations.in_one import in_one
from .equations.inline import inline
from .equations.looked_up import looked_up
from .equations.mirror import mirror
from .equations.narrow import narrow
from .equations.normalised import normalised
from .equations.on_diagonal import on_diagonal
from .equations.one_block import one_block
from .equations.one_place import one_place
from .equations.one_window import one_window
from .equations.other_side import other_side
from .equations.pieces import split_pieces
from .equations.recall import recall
from .equations.recentre import recentre
from .equations.remembered import remembered
from .equations.running import running
from .equations.scaled import scaled
from .equations.skew import skew
from .equations.slopes import slopes
from .equations.sparse import sparse
from .equations.split import split
from .equations.spread import spread
from .equations.stacked import stacked
from .equations.summands import summands
from .equations.thresholds import thresholds
from .equations.turned import turned
from .equations.unmask import unmask
from .equations.untangle import untangle
from .equations.whole_steps import whole_steps
from .equations.wrapped import wrapped
from .equations.written_out import written_out
from .items.abreast import abreast
from .items.dot import dot
from .items.form import Item
from .items.in_place import in_place
from .items.invariant import invariant
from .items.masks import masks
from .items.nest import nest
from .items.share import share
from .items.sign import sign

Given = TypeVar("Given")
Made = TypeVar("Made")


def alone(run: Callable[[Given], Made]) -> Callable[[Given, object], Made]:
    """A pass that asks for nothing beside what it works on."""
    return lambda given, beside: run(given)


def each(run: Callable[[Program], Program]) -> Callable[[Program, Program], tuple[Program, Program]]:
    """A pass over forward and backward that goes over one after the other."""
    return lambda forward, backward: (run(forward), run(backward))


FIRST: dict[str, Callable[[Program, Mapping[str, Int]], Program]] = {  # before gradients are taken; some sizes may be known
    "narrow": narrow,
    "bare": alone(bare),
    "beforehand": alone(beforehand),
    "decayed": alone(decayed),
    "factored": alone(factored),
}
BOTH: dict[str, Callable[[Program, Program], tuple[Program, Program]]] = {  # forward and backward together
    "normalised": normalised,
    "summands": summands,
    "sparse": sparse,
    "apart": each(apart),
    "held": each(held),
    "continued": continued,
    "branches": each(branches),
    "both_sides": both_sides,
    "looked_up": looked_up,
    "recall": recall,
    "other_side": other_side,
    "stacked": stacked,
    "in_one": in_one,
    "scaled": scaled,
}
EQUATIONS: dict[str, Callable[[Program, Program], Program]] = {
    "slopes": slopes,
    "guarded": guarded,
    "from_output": from_output,
    "gate": gate,
    "exchange": exchange,
    "inline": inline,
    "turned": alone(turned),
    "on_diagonal": on_diagonal,
    "unmask": unmask,
    "pieces": split_pieces,
    "distribute": alone(distribute),
    "axis_by_axis": axis_by_axis,
    "written_out": alone(written_out),
    "skew": skew,
    "spread": alone(spread),
    "wrapped": wrapped,
    "whole_steps": alone(whole_steps),
    "one_block": alone(one_block),
    "thresholds": alone(thresholds),
    "explicit": alone(make_explicit),  # always: it settles what the rest may assume
    "one_place": alone(one_place),
    "gathered": alone(gathered),
    "mirror": mirror,
    "running": running,
    "split": split,
    "blocks": alone(blocks),
    "remembered": remembered,
    "recentre": alone(recentre),
    "one_window": alone(one_window),
    "carry": carry,
    "at_once": at_once,
    "hoist": hoist,
    "common": alone(common),
    "bracketed": alone(bracketed),
    "untangle": untangle,
}
STATEMENTS: dict[str, Callable[[Sequence[Item], frozenset[str]], tuple[Item, ...]]] = {
    "share": alone(share),
    "masks": alone(masks),
    "invariant": alone(invariant),
    "sign": alone(sign),
    "in_place": in_place,
    "abreast": alone(abreast),
    "dot": alone(dot),
    "nest": alone(nest),
}
_ALL = (*FIRST, "one_size", "balance", "shifted", *BOTH, *EQUATIONS, "accumulate", *STATEMENTS)
PASSES = tuple(name for name in _ALL if name != "explicit")
FORMS = ("by_diagonal", "by_image", "by_group", "by_place", "by_part", "rows", "spots", "slabs", "indicator", "few", "clip", "rolls",
         "digits", "squares", "buffers", "front", "log_products", "differences")


def checked(without: Collection[str]) -> frozenset[str]:
    """The names of passes to leave out; a ValueError for one that there is none of."""
    names = {without} if isinstance(without, str) else set(without)
    unknown = sorted(names - {*FORMS, *PASSES})
    if unknown:
        raise ValueError(f"there is no pass {unknown[0]!r}; there are {', '.join([*FORMS, *PASSES])}")
    return frozenset(names)


def prepare_forward(program: Program, sizes: Mapping[str, Int], without: frozenset[str]) -> Program:
    """The program from which gradients are to be derived; the one that is given, if no pass changes it."""
    for name, run in FIRST.items():
        if name not in without:
            program = run(program, sizes)
    return program


def prepare_both(forward: Program, backward: Program, without: frozenset[str]) -> tuple[Program, Program]:
    """The programs after the passes over both."""
    for name, run in BOTH.items():
        if name not in without:
            forward, backward = run(forward, backward)
    return forward, backward


def prepare(program: Program, known: Program, without: frozenset[str]) -> Program:
    """The program after the passes over equations; what the known program computes need not be computed again."""
    for name, run in EQUATIONS.items():
        if name not in without:
            program = run(program, known)
    return program


def optimise(items: Sequence[Item], kept: frozenset[str], without: frozenset[str]) -> tuple[Item, ...]:
    """The items after the passes. Somebody else reads the variables that are kept later: nothing may write to their memory."""
    items = tuple(items)
    for name, run in STATEMENTS.items():
        if name not in without:
            items = run(items, kept)
    return items
