"""The cost model: every choice between two ways of computing the same is made here, by counting.

Sizes that are numbers count as they are, named ones as TYPICAL. Times are in units of one entry that NumPy handles in passing,
about half a nanosecond; what was measured to fit the constants is in `benchmarks`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import prod

from ..bounds import Range
from ..integer import FloorDiv, Int

TYPICAL = 32          # what a size that is a name counts as
CALL = 4_000          # one step of a Python loop, with the NumPy calls in it
SCATTERED = 8         # an entry read along an axis of a few places, in place of one along a long row
PART = 262_144        # entries of the largest array of a part, so that it stays in cache; threads pay from four, going entry by entry
CHAIN = 65_536        # the same where all goes entry by entry: several such arrays stay in the nearer cache; parts pay from two ...
OPERATIONS = 7        # ... and so many operations
PIECE = 131_072       # bytes of an array that a function of several passes takes at a time, ...
WIDE_PIECE = 524_288  # ... and on threads, which wait for each other after each of many short calls
FUNCTION = 3          # equations without one that an exponential or its like takes as long as
WAKING = 8192         # entries of a matrix that linear algebra sums on one thread
IMAGES = 96           # times PART: multiplications for all images from which threads gain more than BLAS's own
LARGE = 2_000_000     # entries of an array from which parts pay on one thread
BUFFER = 8192         # entries that NumPy's buffers hold, unless somebody has set them
ABREAST = BUFFER      # entries of so many rows as are worked on at a time
BUFFERED = 50_000     # entries from which shorter buffers are worth the calls that set them and set them back
LONG = 48             # steps from which a scan's blocks may go abreast ...
NARROW = 384          # ... where a row has no more entries,
RUN = 8               # and steps of a block
TURNED = 16_384       # entries of an array that is turned for a scan along its rows, and back, rather than read across them
WIDE = 128            # entries of a row from which it is accumulated whole, by a call of its own
WRITTEN = 4           # places of a window, beside the next one, that are written one by one
KEPT = 16             # places of a window for which masks are kept from one loop to the next
IDLE = 1.4            # a tap of all windows is at most so many times as long as what is needed of it
SMALL = 1_000_000     # multiplications up to which BLAS takes matrices as they are: no copies, no threads
ASKEW = 2             # a table over distances is at most so many times as wide as what it replaces
GROUP = 4096          # multiplications that take as long as to find the rows of a group, and to put them where they belong
FEW = 1024            # entries of a product of long rows and columns up to which pieces of SMALL multiplications beat one in one go
SHARES = 1024         # entries of a table of shares, for one step of a recurrence, up to which it beats a product of its factors
ALONE = 1024          # steps of one number each up to which Python's numbers beat blocks of steps
DEPTH = 8             # rows of a matrix from which a product with it, and adding what comes out, beats copying several into one
PLACES = 8            # places of a difference of pairs from which it is worth products of matrices, ...
PAIRS = 32_768        # ... and differences at them
TAPS = 6              # taps at a time from which a product of matrices beats one after the other, channel by channel
BLOCK = 300_000       # entries of the columns of the images that are worked on at a time


def typical(size: Int) -> int:
    return max(1, size.constant) if size.is_constant else TYPICAL


def entries(sizes: Iterable[Int]) -> int:
    """How many entries an array of these sizes has, typically."""
    return prod(typical(s) for s in sizes)


def entries_over(ranges: Mapping[str, Range], indices: Iterable[str]) -> int:
    """The same of an array over these indices."""
    return entries(ranges[i].size for i in indices)


def closing(operands: Sequence[Collection[str]], pair: tuple[int, int], summed: Iterable[str]) -> tuple[str, ...]:
    """The indices of a sum of products that both of a pair of operands have, and no other: their product is summed over these at once."""
    a, b = (operands[k] for k in pair)
    others = {i for k, o in enumerate(operands) if k not in pair for i in o}
    return tuple(i for i in summed if i in a and i in b and i not in others)


def is_short(count: Int) -> bool:
    """Whether so many steps are summed up to each by a product of matrices, and not one after the other; names are taken for many."""
    return count.is_constant and count.constant < 2*TYPICAL


def walks_kernel(kernel: Iterable[Int], rest: Iterable[Int]) -> bool:
    """Whether a window is reduced place by place, in a loop over the kernel, rather than along the short axes of one view.

    loop: places · (CALL + entries)          view: places · entries · SCATTERED
    """
    places, others = entries(kernel), entries(rest)
    return places * (CALL + others) < places * others * SCATTERED


def keeps_masks(places: int) -> bool:
    """Whether masks for so many places are kept, a byte for each entry, rather than that all is compared again."""
    return places <= KEPT


def copies_runs(window: Int) -> bool:
    """Whether windows that do not overlap are copied each as it lies, in runs of so many entries, and not place by place."""
    return typical(window) > 2


def goes_axis_by_axis(window: Iterable[Int]) -> bool:
    """Whether windows are reduced along one axis after the other: U + V places to go to, in long rows, but more memory, and not U · V."""
    window = [*window]
    sizes = [typical(s) for s in window]
    return 4*prod(sizes) > 5*sum(sizes) or all(map(writes_out, window))


def writes_out(places: Int) -> bool:
    """Whether so few places are added, or compared, in one line, and not each to what was there before."""
    return places.is_constant and 1 < places.constant <= WRITTEN


def interleaves(neighbours: Int) -> bool:
    """Whether so few neighbours stand side by side that they are written place by place, each in long rows, and not row by row."""
    return neighbours.is_constant and neighbours.constant < SCATTERED


def reads_few(left: Int, moving: Iterable[Int], axis: Int) -> bool:
    """Whether Σ_a x[a] y[a − u] is looked up for every u, rather than each x[a] y[b] added at u = a − b: the u are few of the b.

    looked up: u · a entries          added: b · a
    """
    if left.is_constant and axis.is_constant:
        return is_few(left, axis)
    return any(grow_together(m, axis) for m in moving) and not grow_together(left, axis)


def is_few(size: Int, others: Int) -> bool:
    """Whether a number of places is few beside another one that is larger, or that a name says."""
    return size.is_constant and (not others.is_constant or others.constant > 2*size.constant)


def grow_together(a: Int, b: Int) -> bool:
    """Whether both are sizes of an image, or both of a kernel: a kernel's size has a minus before it in that of an image."""
    return any(_grows(a, n) and _grows(b, n) for n in a.symbols())


def _grows(size: Int, name: str) -> bool:
    """Whether a size holds a name, and nowhere with a minus before it."""
    signs = set[bool]()
    for monomial, c in size.terms.items():
        for atom in monomial:
            if atom == name:
                signs.add(c > 0)
            elif isinstance(atom, FloorDiv) and name in atom.top.symbols():
                signs.add((c > 0) == _grows(atom.top, name))
    return signs == {True}


def splits(parts: Iterable[Iterable[Int]], whole: Iterable[Iterable[Int]]) -> bool:
    """Whether an index is two, its digits, `parts` being what they are asked for: values that are read there, chosen, or functions.

    as it stands: SCATTERED · entries, each, beside the largest array          split: views
    """
    return SCATTERED * sum(map(entries, parts)) >= max(map(entries, whole))


def may_be_few(count: Int) -> bool:
    """Whether so many entries may be few enough for `_extreme` to take them one after the other; names are decided when they are known."""
    return not count.is_constant or count.constant <= 16


def has_function(places: Int, differences: Iterable[Int]) -> bool:
    """Whether differences of pairs are left to a function: places may be few, or the differences many; names, when they are known."""
    sizes = [*differences]
    return may_be_few(places) or not all(s.is_constant for s in sizes) or entries(sizes) >= PAIRS


def distributes(whole: Iterable[Int], others: Iterable[Iterable[Int]]) -> bool:
    """Whether Σ (a + b) is Σ a + Σ b: the array of a + b is larger than all operands and the result, which a product of matrices needs."""
    return entries(whole) > max(map(entries, others))


def by_diagonal(rest: Iterable[Int]) -> bool:
    """Whether a table goes diagonal by diagonal rather than entry by entry, `rest` being the sizes of what stands at an entry.

    loops: I·J · (CALL + entries)         diagonals: (I + J) · CALL + I·J · entries, which lie apart in memory
    """
    return entries(rest) < CALL


def in_parts(count: Int, per_step: Iterable[Int], threads: int, entrywise: int) -> bool:
    """Whether so many steps may be worth doing part by part, `entrywise` being the number of operations if none is a product of matrices.

    Sizes that are names decide when they are known. On one thread, arrays must be larger than the cache, or go through many operations.
    """
    sizes = [count, *per_step]
    if not all(s.is_constant for s in sizes):
        return threads > 1 or entrywise >= OPERATIONS
    least = 2*PART if threads > 1 else 2*CHAIN if entrywise >= OPERATIONS else LARGE
    return entries(sizes) >= least


def may_be_many(sizes: Sequence[Int]) -> bool:
    """Whether an array may have so many entries that shorter buffers pay; names are decided when they are known."""
    return not all(s.is_constant for s in sizes) or entries(sizes) > BUFFERED


def shortens(repeated: int, products: int) -> bool:
    """Whether shorter buffers pay: two operations repeat rows or columns, as in a softmax, and three more for each product."""
    return repeated >= 2 + 3*products
