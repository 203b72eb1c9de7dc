"""A derivation in the moves of a person: from the definition of a gradient to its final formula, every step confirmed.

A step turns one right-hand side of dA into the next:

    dA[a] = dL/dA[a]
          = Σ_i dY[i] · ∂Y[i]/∂A[a]                       chain rule, over all tensors that read A
          = Σ_{i,r} dY[i] · ∂e(i,r)/∂A[α] · [α = a]       Kronecker delta: Y[i] = Σ_r e(i, r) reads A at α(i, r)
          = …                                             the derivative carried out; α = a solved; conditions settled; collected

`moves` finds them, `confirm` evaluates both sides of each (see there); a step that fails is an error, never a display.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING

from .confirm import confirm
from .derivative import Reverse
from .errors import MatrixFormError, Unevaluated
from .expr import DERIVATIVES, Expr, IntValue, Num, Op, Read, Reduce, add, subst_indices, tensor, walk
from .integer import Int
from .latex import equation_latex
from .matrix import MatrixForm, lower, matrix_form
from .matrix import nodes as mx
from .matrix.typeset import matrix_latex
from .polynomial import additive_terms, factors, product, without
from .program import Equation, Program, Range, Ranges
from .reasons import NAMES, REASONS, Said, agreeing, condition, equal, formula, listed, plain, say
from .rule import Origin
from .simplify import Term
from .step import Ground, Step, Steps
from .terms import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .derivation import Gradient


def steps(gradient: Gradient) -> Steps:
    """The steps that lead to a gradient, those of the gradients it rests on first."""
    ground, found = moves(gradient.derivation.forward, gradient.wrt)
    try:
        confirmed = confirm(ground, found)
    except Unevaluated:  # ties that no sample avoids: the lines that a derivative would have to confirm are left out
        confirmed = confirm(ground, _carried_out(found, ground))
    found = [replace(s, latex=equation_latex(ground.complete, s.after, clause=False)) for s in confirmed]
    return Steps([*found, *_in_matrices(gradient, found)])


def _carried_out(found: Sequence[Step], ground: Ground) -> list[Step]:
    """The steps from the line on in which all derivatives are carried out."""
    result: list[Step] = []
    for s in found:
        if _is_open(s.after):
            continue
        if not _is_open(s.before):
            result.append(s)
        else:
            reason = say("shared", tensor=ground.tensor_of[s.of])
            start = replace(s.before, body=Read(s.of, s.before.subs), ranges={i: s.before.ranges[i] for i in s.before.indices})
            result.append(replace(s, rule=NAMES["definition"], reason=reason.text, said=reason.markdown, before=start))
    return result


def _is_open(e: Equation) -> bool:
    """Whether a derivative in it is not carried out."""
    return any(isinstance(n, Op) and n.op in DERIVATIVES for n in walk(e.body))


def _in_matrices(gradient: Gradient, found: Sequence[Step]) -> Iterator[Step]:
    """The last line once more, without indices, where that is possible; both sides are evaluated, as of every step.

    A form that was refuted is no step: the others hold without it, and `latex` says what was found.
    """
    if not found:
        return
    try:
        form = matrix_form(gradient.derivation.backward, gradient.definition)
    except MatrixFormError:
        return
    reason, e = _without_indices(form), form.evidence
    yield Step(NAMES["matrix"], reason.text, found[-1].after, lower(form), matrix_latex(form), e.trials, e.probability, e.digits,
               found[-1].of, reason.markdown)


def _without_indices(form: MatrixForm) -> Said:
    """What each kind of product in a matrix form was before, in index form."""
    kinds = {f"Correlate{'+' if a.sign > 0 else '-'}" if isinstance(a, mx.Correlate) else type(a).__name__ for a in mx.walk(form.right)}
    facts = listed(say(k) for k in ("Times", "Correlate+", "Correlate-", "Hadamard") if k in kinds)
    return say("matrix", facts=plain(": ") + facts if facts.text else facts)


def moves(program: Program, wrt: str) -> tuple[Ground, list[Step]]:
    """The steps, not yet confirmed."""
    reverse = Reverse(program, (wrt,), record=True)
    gradients = reverse.run()
    assert reverse.history is not None
    inlined = [Equation(reverse.adjoint[t], tuple(map(Int.symbol, letters)), body, dict(zip(letters, reverse.program.dims[t], strict=True)))
               for t, (letters, body) in reverse.inlined.items()]
    shapes = {reverse.adjoint[t]: reverse.program.dims[t] for t in reverse.inlined}
    complete = replace(gradients.backward, equations=(*reverse.program.equations, *reverse.auxiliary.equations, *reverse.new, *inlined),
                       shapes={**reverse.program.shapes, **reverse.shapes, **shapes})
    final = {e.tensor: e for e in [*reverse.new, *inlined] if not e.is_base}
    found: list[Step] = []
    for name, origins in reverse.history.items():
        if name in final:
            found += _Line(reverse, final[name], origins, not found).steps()
    return Ground(reverse.program, complete, dict(reverse.tensor_of), dict(reverse.seeds)), found


class _Line:
    """The right-hand side of one gradient on its way, as a list of terms."""

    def __init__(self, reverse: Reverse, final: Equation, origins: Sequence[Origin], first: bool):
        self.reverse, self.final, self.first = reverse, final, first
        self.tensor = reverse.tensor_of[final.tensor]
        self.dims: Ranges = {i: final.ranges[i] for i in final.indices}
        self.targets = [Int.symbol(i) for i in final.indices]
        self.element = Read(self.tensor, tuple(self.targets))
        self.seeds = reverse._seed_terms(self.tensor, self.targets)
        self.taken: Ranges = dict(self.dims)
        self.letters = [self.choose_letters(o) for o in origins]
        self.origins = [_renamed(o, letters) for o, letters in zip(origins, self.letters, strict=True)]
        self.found: list[Step] = []
        self.now = self.definition()

    def steps(self) -> list[Step]:
        self.chain_rule()
        self.delta()
        self.differentiate()
        self.recognise()
        self.solve()
        self.laws()
        self.collect()
        return self.found

    # -- letters -----------------------------------------------------------------------------------------------------
    def choose_letters(self, o: Origin) -> dict[str, Int]:
        """Letters for the indices of a term: its own, with primes where they are letters of the gradient."""
        chosen: dict[str, Int] = {}
        indices = {**o.placed.indices, **o.solved.indices}
        for name, r in indices.items():
            base = name.rstrip("0123456789").rstrip("_") or "i"
            chosen[name] = Int.symbol(self.letter(base, r, {str(v) for v in chosen.values()}))
        return chosen

    def letter(self, base: str, r: Range, used: set[str]) -> str:
        name = base
        while name in used or name in self.dims or not self.reverse.is_letter(name) or self.taken.get(name, r) != r:
            name += "_"
        self.taken[name] = r
        return name

    # -- moves -------------------------------------------------------------------------------------------------------
    def definition(self) -> Equation:
        """dA[a] = dL/dA[a]"""
        outputs = self.reverse.outputs
        sole = len(outputs) == 1 and outputs[0] not in self.reverse.seeds
        self.loss = outputs[0] if sole else next(n for n in ("L", "J", "loss", "L_all") if n not in self.reverse.program.names)
        return replace(self.final, body=Op("total", (Read(self.loss, ()), self.element)), ranges=dict(self.dims))

    def chain_rule(self) -> None:
        """Σ_i dY[i] · ∂Y[i]/∂A[a] over all equations that read A, gradients called by their names, then what they are known to be."""
        readers = list({id(o.equation): o for o in self.origins}.values())
        shown = listed(formula(n) for n in dict.fromkeys(o.equation.tensor for o in readers))
        single = len({o.equation.tensor for o in readers}) == 1
        reason = say("definition_1" if single else "definition", readers=shown, tensor=self.tensor, element=self.element)
        if self.seeds:
            reason = reason + plain(" ") + say("seed", tensor=self.tensor)
        if self.first and self.reverse.seeds:
            reason = reason + plain(" ") + say("loss", loss=self.loss)
        self.move("definition", reason, [*self.seeds, *(self.passed_on(o, by_name=True) for o in readers)])
        known = [(o, self.passed_on(o, by_name=False)) for o in readers]
        named = [(self.seed_name(o.equation, {i: Int.symbol(n) for i, n in o.names.items()}), self.seed(o)) for o, _ in known]
        facts = [equal(name, seed) for name, seed in named if name != seed]
        self.move("substitute", say("substitute", facts=listed(facts)), [*self.seeds, *(t for _, t in known)])

    def passed_on(self, o: Origin, by_name: bool) -> Term:
        e, names = o.equation, {i: Int.symbol(n) for i, n in o.names.items()}
        ranges = {n: e.ranges[i] for i, n in o.names.items()}
        holds = list(self.reverse._own_range(e, names, {}, names, {**ranges, **e.ranges}, self.dims))
        body = Op("whole", (e.element.subst(names), self.element))
        seed = self.seed_name(e, names) if by_name else self.seed(o)
        return Term({o.names[i]: e.ranges[i] for i in e.indices}, tuple(holds), product([*factors(seed), body]))

    def seed_name(self, e: Equation, names: dict[str, Int]) -> Expr:
        """dY[i], called by its name unless it is the seed itself."""
        subs = tuple(s.subst(names) for s in e.subs)
        history = self.reverse.history or {}
        if e.tensor in self.reverse.inlined and self.reverse.adjoint[e.tensor] not in history:
            letters, body = self.reverse.inlined[e.tensor]
            return subst_indices(body, dict(zip(letters, subs, strict=True)))
        return tensor(self.reverse.adjoint[e.tensor], *subs)

    def seed(self, o: Origin) -> Expr:
        return self.reverse._seed(o.equation, {i: Int.symbol(n) for i, n in o.names.items()}, {**self.dims, **o.placed.indices})

    def delta(self) -> None:
        """∂Y[i]/∂A[a] = Σ_r w · ∂e/∂A[α] · [α = a]"""
        places: dict[tuple[Read, tuple[Said, ...]], list[Said]] = {}
        for o in self.origins:
            names = {i: Int.symbol(n) for i, n in o.names.items()}
            read = o.read.subst(names)
            where = tuple(equal(s, t) for s, t in zip(read.subs, self.targets, strict=True))
            places.setdefault((read, where), []).append(formula(o.equation.element.subst(names)))
        said = [say("delta", read=read, places=listed(found), element=self.element, condition=listed(where)) if where
                else say("delta_scalar", read=read, places=listed(found)) for (read, where), found in places.items()]
        said += [say(o.op) for o in self.origins if o.op != "sum"]
        self.move("delta", _sentences(said), [*self.seeds, *(o.placed for o in self.origins)])

    def differentiate(self) -> None:
        """What SymPy finds for each ∂e/∂A[α]."""
        facts = []
        for o in self.origins:
            facts += [equal(n, o.slope) for n in walk(o.placed.body) if isinstance(n, Op) and n.op == "partial"]
        self.move("differentiate", say("differentiate", facts=listed(facts)), [*self.seeds, *(o.differentiated for o in self.origins)])

    def recognise(self) -> None:
        facts = []
        for o in self.origins:
            found = dict.fromkeys(_differences(o.differentiated.body, o.known.body))
            facts += [equal(*pair) for pair in (found if len(found) < 2 else [_apart(o.differentiated.body, o.known.body)])]
        self.move("recognise", say("recognise", facts=listed(facts)), [*self.seeds, *(o.known for o in self.origins)])

    def solve(self) -> None:
        told: dict[Said, list[Said]] = {}
        for o in (o for o in self.origins if o.values):
            stays = [formula(Int.symbol(o.names[i])) for i in o.equation.indices if o.names[i] in o.solved.indices]
            told.setdefault(self.solved(o), []).extend([listed(stays)] if stays else [])
        facts = [values + _staying(sums) for values, sums in told.items()]
        if facts:  # without any, conditions are only written otherwise
            self.move("solve", say("solve", facts=listed(facts, "; ")), [*self.seeds, *(o.solved for o in self.origins)])

    def solved(self, o: Origin) -> Said:
        """Of one term: what its conditions say of its indices, and what they leave as a condition."""
        told = [condition(c) for c in o.placed.conditions if c not in o.solved.conditions]
        letters = list(self.dims)  # in the order in which the gradient has them, whichever was solved first
        at = {i: min((letters.index(x) for x in v.symbols() if x in letters), default=len(letters)) for i, v in o.values.items()}
        wanted = [equal(i, o.values[i]) for i in sorted(at, key=at.__getitem__)]
        new = [condition(c) for c in o.solved.conditions if c not in o.known.conditions]
        known, found = [w for w in wanted if w in told], [w for w in wanted if w not in told]
        if not found or {w.text for w in wanted} == {t.text for t in told}:
            total = listed(wanted)
        else:
            solved = [t for t in told if t not in wanted]
            total = listed(solved) + agreeing(solved, " means ", " mean ") + listed(found)
            total += plain("; also ") + listed(known) if known else plain("")
        return total + (plain(", where ") + listed(new) if new else plain(""))

    def laws(self) -> None:
        """What `simplify` did, term by term, the same law on several terms as one move."""
        terms: list[Term | None] = [o.solved for o in self.origins]
        for turn in range(max((len(o.laws) for o in self.origins), default=0)):
            for law in dict.fromkeys(o.laws[turn][0] for o in self.origins if turn < len(o.laws)):
                used = []
                for k, o in enumerate(self.origins):
                    if turn < len(o.laws) and o.laws[turn][0] == law:
                        used.append((terms[k], o.laws[turn][1]))
                        terms[k] = o.laws[turn][1]
                self.move(law, _whys(law, used), [*self.seeds, *terms])

    def collect(self) -> None:
        """The final form; only other letters are no step."""
        if not self.found:
            self.add("collect", self.collected(), self.final)
        elif _same_up_to_letters(self.now, self.final):
            self.found[-1] = replace(self.found[-1], after=self.final)
        elif self.now.body != self.final.body:
            self.add("collect", self.collected(), self.final)

    def collected(self) -> Said:
        before, after = (len(additive_terms(e.body)) for e in (self.now, self.final))
        terms = [factors(t) for _, t in additive_terms(self.now.body)]
        shared = [f for f in terms[0] if not isinstance(f, Reduce) and all(f in t for t in terms[1:])]
        if len(terms) > 1 and shared:
            return say("collect", facts=plain("All terms share ") + listed(map(formula, shared)))
        if after < before:
            return say("collect", facts=plain(f"{before} terms are the same but for a factor or for where they hold, and become {after}"))
        return say("collect", facts=plain("Factors and terms take their usual order"))

    # -- assembling --------------------------------------------------------------------------------------------------
    def move(self, rule: str, reason: Said, terms: Iterable[Term | None]) -> None:
        after = self.equation(terms)
        if after.body != self.now.body:
            self.add(rule, reason, after)

    def add(self, rule: str, reason: Said, after: Equation) -> None:
        step = Step(NAMES.get(rule, rule.replace("_", " ")), reason.text, self.now, after, of=self.final.tensor, said=reason.markdown)
        self.found.append(step)
        self.now = after

    def equation(self, terms: Iterable[Term | None]) -> Equation:
        ranges, parts = dict(self.dims), []
        for t in terms:
            if t is not None:
                ranges |= t.indices
                parts.append(guarded(t, ranges, self.reverse))
        return replace(self.final, body=add(parts), ranges=ranges)


def _renamed(o: Origin, letters: dict[str, Int]) -> Origin:
    """All lines of an origin with other letters for their indices."""

    def change(t: Term) -> Term:
        moved = Term({str(letters[i]): r for i, r in t.indices.items()}, t.conditions, t.body)
        hidden = {i: Int.symbol(f"\0{i}") for i in letters}  # in two steps, so that letters can change places
        return moved.subst(hidden).subst({f"\0{i}": v for i, v in letters.items()})

    def change_or_drop(t: Term | None) -> Term | None:
        return None if t is None else change(_with(t, letters))

    values = {str(letters.get(i, Int.symbol(i))): v.subst(letters) for i, v in o.values.items()}
    return Origin(o.equation, o.read, o.op, {i: str(letters.get(n, n)) for i, n in o.names.items()}, values, change(o.placed),
                  change(o.differentiated), change(o.known), change(o.solved), tuple((law, change_or_drop(t)) for law, t in o.laws),
                  change(Term({}, (), o.slope)).body)


def _with(t: Term, letters: dict[str, Int]) -> Term:
    for i in t.indices:
        letters.setdefault(i, Int.symbol(i))
    return t


def _differences(a: Expr, b: Expr) -> list[tuple[Expr, Expr]]:
    """The smallest parts in which two expressions of the same build differ."""
    if a == b:
        return []
    if isinstance(a, Op) and isinstance(b, Op) and a.op == b.op and len(a.args) == len(b.args) and a.op != "exp":
        return [d for x, y in zip(a.args, b.args, strict=True) for d in _differences(x, y)]
    return [(a, b)]


def _apart(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """Two equal products without the factors that they share, the numbers of both on one side."""
    shared = [f for f in dict.fromkeys(factors(a)) if not isinstance(f, Num) and f in factors(b)]
    rest, other = (without(factors(e), shared) for e in (a, b))
    number = prod((f.value for f in rest if isinstance(f, Num)), start=Fraction(1))
    return product([f for f in rest if not isinstance(f, Num)]), product([Num(1 / number), *other])


def _whys(law: str, used: list[tuple[Term | None, Term | None]]) -> Said:
    """The sentences of a law, with what it was used on in several terms; the reads that say one and the same in one sentence."""
    implied: dict[tuple[Said, ...], list[Said]] = {}
    for before, after in used if law == "drop_implied" else ():
        assert before is not None and after is not None
        gone = [c for c in before.conditions if c not in after.conditions]
        implied.setdefault(tuple(map(condition, gone)), []).extend(map(formula, _guards(after.body, gone)))
    if not implied or not all(implied.values()):
        return _sentences([_why(law, *terms) for terms in used])
    return _sentences([say(law, reads=listed(reads), are=agreeing(reads, "is", "are"), condition=listed(gone),
                           say=agreeing(gone, "says", "say")) for gone, reads in implied.items()])


def _why(law: str, before: Term | None, after: Term | None) -> Said:
    """The sentence of a law, with what it was used on."""
    found = _concrete(law, before, after) if before is not None and after is not None else None
    if law == "settle_conditions" and before is not None and before.conditions and after is None:
        never = [condition(c) for c in before.conditions]
        found = say("never", condition=listed(never), hold=agreeing(never, "holds", "hold"))
    if found is not None:
        return found
    return plain(REASONS[law] if "{" not in REASONS.get(law, "{") else f"{NAMES.get(law, law.replace('_', ' '))}.")


def _concrete(law: str, before: Term, after: Term) -> Said | None:
    gone = [condition(c) for c in before.conditions if c not in after.conditions]
    new = [condition(c) for c in after.conditions if c not in before.conditions]
    indices = tuple(i for i in before.indices if i not in after.indices)
    if law == "settle_conditions" and gone:
        return say(law, condition=listed(gone), hold=agreeing(gone, "holds", "hold"))
    if law in ("split_where", "where_divided") and new:
        return say(law, condition=listed(new))
    if law == "drop_known" and gone:
        return say(law, condition=listed(gone))
    if law == "sum_of_nothing" and indices:
        return say(law, indices=listed(formula(Int.symbol(i)) for i in indices))
    if law == "use_givens" and indices:
        evaluated = [Reduce("sum", indices, f) for f in factors(before.body) if f not in factors(after.body)]
        return say(law, facts=listed(equal(e, _value_of(e, before, after)) for e in evaluated)) if len(evaluated) == 1 else None
    return None


def _value_of(total: Reduce, before: Term, after: Term) -> Expr:
    """What a given made of a sum: what stands in the product instead."""
    others = [f for f in factors(before.body) if f != total.body]
    return _apart(product(others), after.body)[1]


def _guards(body: Expr, conditions: Iterable[Expr]) -> list[Read]:
    """Reads with a subscript that a condition bounds."""
    bounded = [a.value for c in conditions if isinstance(c, Op) for a in c.args if isinstance(a, IntValue)]
    return [f for f in dict.fromkeys(f for f in walk(body) if isinstance(f, Read))
            if any((s - v).is_constant and not s.is_constant for s in f.subs for v in bounded)]


def _staying(sums: list[Said]) -> Said:
    """The sums that remain of terms in which the subscripts are solved in the same way."""
    apart = list(dict.fromkeys(sums))
    if not apart:
        return plain("")
    if len(apart) == 1:
        return plain("; the sum over ") + apart[0] + plain(" stays")
    return plain("; the sums over ") + listed(apart) + plain(" stay")


def _sentences(said: Iterable[Said]) -> Said:
    total = plain("")
    for k, s in enumerate(dict.fromkeys(said)):
        total = total + plain(" " if k else "") + s
    return total


def _same_up_to_letters(a: Equation, b: Equation) -> bool:
    """Whether two right-hand sides differ in nothing but the names of bound indices."""
    return _numbered(a) == _numbered(b)


def _numbered(e: Equation) -> tuple[Expr, tuple[Range, ...]]:
    """The right-hand side with its bound indices numbered in order of appearance, and their ranges."""
    seen: list[Range] = []

    def number(node: Expr) -> Expr:
        if isinstance(node, Reduce):
            values = {}
            for i in node.indices:
                values[i] = Int.symbol(f"\0{len(seen)}")
                seen.append(e.ranges[i])
            return Reduce(node.op, tuple(str(v) for v in values.values()), number(subst_indices(node.body, values)))
        if isinstance(node, Op):
            return Op(node.op, tuple(number(a) for a in node.args))
        return node

    return number(e.body), tuple(seen)
