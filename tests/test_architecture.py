"""The house: arrows point down, there are no cycles, and the symbolic core needs SymPy alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nnderiv
from nnderiv.graph import cycles

ROOT = Path(nnderiv.__file__).parent
MODULES = sorted(".".join(p.relative_to(ROOT).with_suffix("").parts) for p in ROOT.rglob("*.py"))

# From the ground up; a module imports from its own floor or from lower ones.
FLOORS = (
    ("arguments", "errors", "graph", "integer", "text"),
    ("expr", "polynomial", "bounds", "numbers", "fresh"),
    ("clauses", "conditions", "gaps", "masked", "missing", "regular", "signs"),
    ("program",),
    ("cases", "meaning", "learned", "elsewhere", "within", "saturation"),
    ("facts",),
    ("logarithms", "chosen"),
    ("exponentials",),
    ("scalar_functions",),
    ("scalar_laws",),
    ("notation", "evaluate", "solve", "scalar", "dual", "degree", "numeric", "sizes"),
    ("terms",),
    ("laws_of_conditions", "laws_of_names", "laws_of_terms", "symmetry"),
    ("laws_of_sums",),
    ("resolve",),
    ("elaborate", "simplify"),
    ("ranges", "wellfounded"),
    ("parse", "normal", "pointers", "draw", "tidy"),
    ("shares", "auxiliary"),
    ("rule",),
    ("derivative",),
    ("latex", "tex_names", "tex_pieces", "sympy_words", "sympy_nodes", "sympy_form"),
    ("matrix.nodes", "matrix.memory"),
    ("matrix.build", "matrix.axes", "matrix.confirm", "matrix.element", "matrix.standardise", "matrix.scope"),
    ("matrix.softmaxes", "matrix.hats", "matrix.inlining", "matrix.indicators"),
    ("matrix.graph", "matrix.reading"),
    ("matrix.recognise",),
    ("matrix.windows",),
    ("matrix.form",),
    ("matrix.typeset", "matrix.sympy_matrix"),
    ("matrix.__init__", "products", "reasons", "sides"),
    ("matching", "display"),
    ("canonical", "step"),
    ("confirm", "prove"),
    ("steps", "differentials.build"),
    ("differentials.trace", "differentials.differential"),
    ("differentials.method",),
    ("differentials.__init__", "check", "forms"),
    tuple(m for m in MODULES if m.startswith("lower.")),
    ("derivation",),
    ("layers.layer",),
    tuple(m for m in MODULES if m.startswith("layers.") and m != "layers.layer"),
    ("__init__", "generated"),
    ("cli",),
    ("__main__",),
)


def imports(module: str, only_at_import: bool) -> set[str]:
    """The package's own modules that a module imports; with only_at_import, when it is itself imported."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    package = module.split(".")[:-1]
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = [*base, *(node.module or "").split(".")] if node.module else base
            names = [".".join([*target, a.name]) for a in node.names]
            found |= {n for n in names if n in MODULES} or ({".".join(target)} & set(MODULES))
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not (only_at_import and (lazy or typing_only)):
            pending.extend(ast.iter_child_nodes(node))
    return found - {module}


def test_there_is_no_cycle_of_imports() -> None:
    graph = {m: imports(m, only_at_import=True) for m in MODULES}
    assert not cycles(graph), sorted(cycles(graph))


def test_every_module_has_a_floor() -> None:
    assert sorted(m for floor in FLOORS for m in floor) == MODULES


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_arrows_point_down(floor: int) -> None:
    allowed = {m for f in FLOORS[: floor + 1] for m in f}
    for module in FLOORS[floor]:
        above = imports(module, only_at_import=True) - allowed
        assert not above, f"{module} imports {sorted(above)} from above"


@pytest.mark.parametrize(("passes", "others"), [("equations", "items"), ("items", "equations")])
def test_passes_know_neither_the_emitter_nor_those_over_other_things(passes: str, others: str) -> None:
    emitter = {f"lower.{name}" for name in ("choices", "contract", "emit", "module", "passes", "values", "writer")}
    own = [m for m in MODULES if m.startswith(f"lower.{passes}.")]
    assert len(own) > 10
    for module in own:
        found = imports(module, only_at_import=False)
        assert not found & emitter and not any(m.startswith(f"lower.{others}.") for m in found), module


def test_the_symbolic_core_imports_no_numpy() -> None:
    code = (
        "import sys, nnderiv\n"
        "d = nnderiv.derive('X[N,I], W[I,O] -> Y\\n Y[n,o] = tanh(sum[i](X[n,i]*W[i,o]))')\n"
        "str(d); d.check(code=False)\n"
        "heavy = {'numpy', 'scipy', 'torch', 'jax', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT.parent)


def test_the_plain_checks_know_no_symbols() -> None:
    assert imports("numeric", only_at_import=False) == {"numbers"}
    assert imports("dual", only_at_import=False) == {"numbers"}


def test_the_interpreter_knows_nothing_of_derivatives() -> None:
    seen, pending = set(), ["evaluate"]
    while pending:
        for m in imports(pending.pop(), only_at_import=True) - seen:
            seen.add(m)
            pending.append(m)
    assert not seen & {"derivative", "simplify", "solve", "scalar", "normal"}


def test_every_module_opens_with_its_promise() -> None:
    for module in MODULES:
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), module


def test_nothing_is_executed_but_what_the_emitter_wrote() -> None:
    """eval and exec stand in the loader of emitted modules only, and sympify takes no text."""
    for module in MODULES:
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
        plain = {n.func.id for n in calls if isinstance(n.func, ast.Name)} & {"eval", "exec", "compile", "__import__"}
        assert not plain or module == "lower.module" and plain <= {"exec", "compile"}, (module, plain)
        for n in calls:
            name = n.func.attr if isinstance(n.func, ast.Attribute) else n.func.id if isinstance(n.func, ast.Name) else ""
            strict = any(k.arg == "strict" and isinstance(k.value, ast.Constant) and k.value.value is True for k in n.keywords)
            assert name not in ("sympify", "parse_expr") or strict, f"{module}:{n.lineno} would evaluate a text"
