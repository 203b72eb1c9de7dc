"""Results take the memory of operands that nobody needs any more: Z = X @ W; Z += b; np.tanh(Z, out=Z).

Only memory that this function made for itself is written to, and only after its last use, views of it included: what the
caller handed in, what is handed out, and what is kept for backward stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .form import ADD, NEGATIVE, PUT, SQUARE, SUBTRACT, Block, Item, Statement, names, read_by, rearranged, renamed, statements, uses


def in_place(items: Sequence[Item], kept: frozenset[str]) -> tuple[Item, ...]:
    """See the module's docstring; `kept` are the variables that somebody else reads later.

    Vectors are short beside matrices, and stay as they are read best; where there are vectors only, they may be long.
    """
    long = min(2, max((len(s.shape) for s in statements(items)), default=2))
    return _Rewriter(Memory(items), kept, uses(items), max(1, long)).run(items, frozenset())


class Memory:
    """Whose memory a variable stands for: itself, or those that it may be a view of."""

    def __init__(self, items: Sequence[Item]):
        self.roots: dict[str, frozenset[str]] = {}
        self.viewers: dict[str, set[str]] = {}  # variable -> those that stand for its memory
        self.bound: dict[str, int] = {}
        self.made: dict[str, Statement] = {}
        for s in statements(items):
            if not s.is_place:
                self.bound[s.target] = self.bound.get(s.target, 0) + 1
                self.made[s.target] = s
                self.look_at(s.target, self._roots(s))

    def look_at(self, variable: str, roots: frozenset[str]) -> None:
        """From now on, the variable stands for the memory of these, and so do those that stood for its own."""
        before = self.roots.get(variable, frozenset())
        for x in before:
            self.viewers[x].discard(variable)
        self.roots[variable] = roots
        for x in roots:
            self.viewers.setdefault(x, set()).add(variable)
        if variable in before - roots:
            for a in list(self.viewers[variable]):
                self.look_at(a, self.roots[a] - {variable} | roots)

    def views_of(self, variable: str) -> set[str]:
        """All that stand for memory of this variable."""
        found = set[str]()
        for x in self.of(variable):
            found |= self.viewers.get(x, set())
            if x not in self.roots:
                found.add(x)
        return found

    def _roots(self, s: Statement) -> frozenset[str]:
        if s.out:
            return self.of(s.out)
        if s.operation.owns:
            return frozenset({s.target})
        if whole := rearranged(s):
            return self.of(whole)
        found = frozenset(x for o in s.operands for name in names(o.text) for x in self.of(name))
        return found if self.bound[s.target] == 1 else found | {s.target}

    def of(self, variable: str) -> frozenset[str]:
        return self.roots.get(variable, frozenset({variable}))

    def is_own(self, variable: str) -> bool:
        """Whether all the memory of a variable comes from operations of this function, each the only one to bind its variable."""
        return all(x in self.made and self.bound[x] == 1 and self.made[x].operation.owns for x in self.of(variable))

    def behind(self, text_names: frozenset[str]) -> set[str]:
        return {x for name in text_names for x in self.of(name)}


@dataclass(frozen=True)
class _Place:
    """Item k of those at hand, and what is known around it."""

    done: list[Item]
    k: int
    here: dict[str, int]       # the variables that statements before it bind, and which item does first
    renames: dict[str, str]    # what the items behind it are to call some variables
    last: dict[str, int]       # the last item that reads a name, as it was
    outside: frozenset[str]    # the names that are read elsewhere

    @property
    def statement(self) -> Statement:
        item = self.done[self.k]
        assert isinstance(item, Statement)
        return item

    def is_inside(self, variable: str) -> bool:
        """Whether a variable is an intermediate result that is made at once."""
        made = self.done[self.here[variable]:self.k]
        return variable.startswith("§") and not any(isinstance(x, Statement) and x.target == x.out == variable for x in made)

    def is_read_later(self, variable: str) -> bool:
        return self.last.get(variable, -1) > self.k or variable in self.outside


@dataclass
class _Rewriter:
    memory: Memory
    kept: frozenset[str]
    uses: Counter[str]
    least: int  # the dimensions that an array has at least for its memory to be used again

    def run(self, items: Sequence[Item], outside: frozenset[str], is_part: bool = False) -> tuple[Item, ...]:
        """`outside`: the names that are read outside these items; a part of arrays is long, a row of a recurrence is not."""
        items = self.put_at_once(items)
        last = {name: k for k, item in enumerate(items) for name in read_by(item)}  # the last item that reads a name
        done, here, renames = list(items), dict[str, int](), dict[str, str]()
        for k in range(len(done)):
            (item,) = renamed([done[k]], renames)
            done[k], at = item, _Place(done, k, here, renames, last, outside)
            if isinstance(item, Block):
                others = frozenset[str]().union(outside, *(read_by(x) for j, x in enumerate(done) if j != k))
                done[k] = replace(item, items=self.run(item.items, others, item.is_part))
            elif isinstance(item, Statement) and item.is_place:
                if item.operation.into and item.real:
                    if item.operation.only is None:
                        done[k] = replace(item, out=item.target)
                    if is_part:
                        self.start_in_place(at)
            elif isinstance(item, Statement):
                self.reuse(at, item)
                here.setdefault(at.statement.target, k)
        return tuple(done)

    def put_at_once(self, items: Sequence[Item]) -> Sequence[Item]:
        """What is put in a place right after it is computed, and nowhere else, is computed there: np.multiply(a, b, out=y[1:])."""
        done: list[Item] = []
        for item in items:
            made = done[-1] if done else None
            if isinstance(item, Statement) and isinstance(made, Statement) and self.is_put_only(made, item):
                done[-1] = replace(item, operation=made.operation, operands=made.operands)
            else:
                done.append(item)
        return done

    def is_put_only(self, made: Statement, s: Statement) -> bool:
        """Whether a statement puts in a place what the one before it has made for it alone, and could have made there."""
        puts = s.is_place and s.operation == PUT and s.operands[0].text == made.target and self.uses[made.target] == 1
        fits = made.operation.begins and made.shape == s.shape and made.real and made.note == s.note and not made.out
        return puts and fits and self.memory.behind(read_by(made)).isdisjoint(self.memory.of(s.variable))

    def reuse(self, at: _Place, s: Statement) -> None:
        """Let statement k write to an operand that is not needed later.

        Arithmetic on intermediate results in the middle of an expression stays: NumPy works in their memory by itself, unless the
        other operand is repeated along an axis, or they have been written to, and so have a name.
        """
        inside = s.target.startswith("§") and self.uses[s.target] == 1 and (s.operation.sign or s.operation in (NEGATIVE, SQUARE))
        inside = inside and not any(o.spread for o in s.operands)
        if not (s.operation.into and s.operation.aligned and s.real and len(s.shape) >= self.least and self.memory.bound[s.target] == 1):
            return
        for j, operand in enumerate(s.operands):
            if s.operation.only not in (None, j):
                continue
            v = operand.text
            free = v in at.here and not (inside and at.is_inside(v) and not self.saves(s, j)) and not self.is_needed(at, v)
            if free and self.fits(v, s) and self.others_apart(s, j):
                self.write(at, s, j)
                return

    def saves(self, s: Statement, j: int) -> bool:
        """Whether NumPy would not find the memory: x − y/2 is not written to y/2, and x, with a name, is looked at no more; nor is a
        term that is a product of matrices in another shape."""
        if s.operation in (ADD, SUBTRACT) and rearranged(self.memory.made[s.operands[j].text]):
            return True
        others = [o.text for i, o in enumerate(s.operands) if i != j]
        return j == 0 and not s.operation.commutes and self.uses[s.operands[0].text] > 1 and all(self.uses[o] == 1 for o in others)

    def is_needed(self, at: _Place, v: str) -> bool:
        """Whether somebody reads the memory of v later."""
        return any(at.is_read_later(x) or x in self.kept for x in self.memory.views_of(v))

    def start_in_place(self, at: _Place) -> None:
        """Let what statement k finishes in a place begin there: np.multiply(x[n], g, out=y[n]); y[n] += b. Of several results that nobody
        needs any more, the first begins there."""
        done, k, s = at.done, at.k, at.statement
        if any(o.text == s.target for o in s.operands):
            return  # dg += …: what is there counts
        for j, operand in enumerate(s.operands):
            if s.operation.only not in (None, j):
                continue
            v = operand.text
            first = at.here.get(v)
            if first is None or self.is_needed(at, v):
                continue
            made = done[first]
            begins = isinstance(made, Statement) and not made.out and made.operation.begins
            untouched = all(s.variable not in read_by(x) for x in done[first:k])
            if begins and untouched and self.fits(v, s) and self.others_apart(s, j):
                for m in range(first, k + 1):
                    (x,) = renamed([done[m]], {v: s.target})
                    done[m] = _updated(replace(x, is_place=True, out=s.target)) if isinstance(x, Statement) and x.target == s.target else x
                del at.here[v]
                if isinstance(made, Statement) and len(made.operands) > 1 and all(o.text.startswith("§") for o in made.operands):
                    self.start_in_place(replace(at, k=first))
                return

    def fits(self, v: str, s: Statement) -> bool:
        made = self.memory.made[v]
        return made.shape == s.shape and made.real and self.memory.is_own(v) and (made.operation.owns or bool(made.out or rearranged(made)))

    def others_apart(self, s: Statement, j: int) -> bool:
        """Whether no other operand looks at the memory of this one through another window."""
        mine = self.memory.of(s.operands[j].text)
        return all(o.text == s.operands[j].text or self.memory.behind(names(o.text)).isdisjoint(mine)
                   for i, o in enumerate(s.operands) if i != j)

    def write(self, at: _Place, s: Statement, j: int) -> None:
        """The statement at hand writes its result into the memory of operand j, which nobody needs any more."""
        done, k, v = at.done, at.k, s.operands[j].text
        operands = s.operands
        if j == 1 and s.operation.commutes:
            operands = (operands[1], operands[0])
        roots = self.memory.of(v)
        if v.startswith("§") and self.memory.made[v].note == s.note:
            # The operand takes the name of the result: one variable, updated.
            made = at.here.pop(v)
            at.here[s.target] = made
            done[made:k] = renamed(done[made:k], {v: s.target})
            done[k] = replace(s, operands=tuple(replace(o, text=s.target) if o.text == v else o for o in operands), out=s.target)
            self.rename(v, s.target)
        elif s.target.startswith("§"):
            # The result has no name yet: it takes that of the operand.
            done[k] = replace(s, operands=operands, target=v, out=v)
            at.renames[s.target] = v
            self.memory.look_at(s.target, roots)  # what was found to be read later is under the old name
        else:
            done[k] = replace(s, operands=operands, out=v)
            self.memory.look_at(s.target, roots)
            self.memory.made[s.target] = replace(s, out=v)

    def rename(self, v: str, target: str) -> None:
        memory = self.memory
        for a in list(memory.viewers.get(v, ())):
            memory.look_at(a, frozenset(target if x == v else x for x in memory.roots[a]))
        own = memory.made[v].operation.owns and not memory.made[v].out
        memory.look_at(target, frozenset({target}) if own else memory.roots[v])
        memory.made[target] = memory.made.pop(v)
        memory.bound[target] = 1


def _updated(s: Statement) -> Statement:
    """y += c for y = c + y."""
    turns = len(s.operands) == 2 and s.operation.commutes and s.operands[1].text == s.out
    return replace(s, operands=s.operands[::-1]) if turns else s
