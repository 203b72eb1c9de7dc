"""The command `nnderiv`: derive a program, check its gradients, regenerate the files of all layers.

    exit code   0    all is well
                1    a check failed, or files differ
                2    the command line, the notation or a file is at fault; the message is on standard error
              130    interrupted
              141    the reader of our output went away
"""

from __future__ import annotations

import argparse
import difflib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from . import __version__, generated
from .derivation import Derivation, Gradient, derive
from .errors import MatrixFormError, NNDerivError
from .layers import ALL, Layer
from .notation import MAX_TEXT
from .parse import parse
from .program import Program

Command = Callable[[argparse.Namespace], int]
OK, FAILED, WRONG, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141
PREFIX = "layer:"

_FILE = f"a file with a program, - for standard input, or {PREFIX}NAME for a layer of the registry"
_EXAMPLES = """\
examples:
  nnderiv derive dense.txt                           the gradients, as a program
  nnderiv derive dense.txt --wrt W,b --format latex  two of them, typeset
  nnderiv derive layer:dense --format numpy          a module that imports NumPy and nothing else
  nnderiv derive dense.txt --steps                   step by step, every step checked
  nnderiv derive dense.txt | nnderiv derive -        the gradients of the gradients
  nnderiv check dense.txt                            exit code 0 if every gradient passes
  nnderiv regenerate --check                         compare the generated files of all layers

exit codes: 0 all is well; 1 a check failed, or files differ; 2 wrong usage or notation; 130 interrupted
"""


class Refusal(Exception):
    """What is asked for cannot be done, with the reason; ends the command with exit code 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process unless `argv` is given); returns its exit code."""
    _write_utf8(sys.stdout)
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except (NNDerivError, Refusal) as error:
        return _end(WRONG, str(error))
    except KeyboardInterrupt:
        return _end(INTERRUPTED, "interrupted")
    except BrokenPipeError:
        _let_go(sys.stdout)
        return PIPE_CLOSED
    except OSError as error:
        _let_go(sys.stdout)
        return _end(WRONG, f"the output cannot be written: {error.strerror}.")


def _end(code: int, message: str) -> int:
    print(f"nnderiv: {message}", file=sys.stderr)
    return code


def _write_utf8(stream: TextIO) -> None:
    """What goes into a file or a pipe is UTF-8, like what is read; a terminal shows what it can."""
    if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
        stream.reconfigure(errors="replace") if stream.isatty() else stream.reconfigure(encoding="utf-8")


def _let_go(stream: TextIO) -> None:
    """Python flushes once more at exit; let it flush into nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# ---- the command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nnderiv", description="Gradients of forward definitions: formula, derivation, NumPy code and evidence.",
        epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"nnderiv {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Command, summary: str, description: str) -> argparse.ArgumentParser:
        found = commands.add_parser(
            name, help=summary, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        found.set_defaults(run=run)
        return found

    one = command("derive", _derive, "print the gradients of a program",
                  "Print the gradients of a program: as a program again, as LaTeX, as a page of Markdown with the\n"
                  "derivations, or as a NumPy module.")
    _add_program(one)
    one.add_argument("--format", choices=list(FORMATS), default="text", help="default: %(default)s")
    one.add_argument("--steps", action="store_true",
                     help="the derivations too, step by step, every step checked (markdown has them always; latex becomes a document)")

    one = command("check", _check, "check the gradients of a program",
                  "Check the gradients of a program, and the code that is emitted for them.\n"
                  "The exit code is 1 if one of them fails.")
    _add_program(one)
    one.add_argument("--seed", type=int, default=0, metavar="N", help="of the random inputs; default: %(default)s")

    one = command("regenerate", _regenerate, "write, or compare, the generated files of the layers",
                  "Write each layer's NumPy module (NAME.py) and formulas (NAME.tex) into a folder.\n"
                  "Files that are as they should be are left alone; each other one is replaced whole.\n"
                  "Unless layers are named, generated files that belong to none are removed.")
    one.add_argument("layers", nargs="*", metavar="LAYER", help="these layers only (default: all)")
    one.add_argument("--to", type=Path, default=Path("generated"), metavar="DIR", help="default: %(default)s")
    one.add_argument("--check", action="store_true", help="write nothing; show the differences, exit code 1 if any")
    one.add_argument("-v", "--verbose", action="store_true", help="show progress, also where it is not a terminal")

    one = command("layers", _layers, "list the layers of the registry",
                  "List the layers, or show the text and the source of some.")
    one.add_argument("layers", nargs="*", metavar="LAYER", help="show these")
    return parser


def _add_program(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=_FILE)
    parser.add_argument("--wrt", action="append", metavar="X,Y",
                        help="gradients with respect to these inputs only; can be repeated")


# ---- programs


def _derivation(arguments: argparse.Namespace) -> Derivation:
    program = _program(arguments.file)
    if arguments.wrt is None:
        return derive(program)
    wrt = dict.fromkeys(name.strip() for names in arguments.wrt for name in names.split(",") if name.strip())
    if not wrt:
        raise Refusal("--wrt names no input.")
    return derive(program, tuple(wrt))


def _program(file: str) -> Program:
    if file.startswith(PREFIX):
        return _layer(file.removeprefix(PREFIX)).program
    return parse(_text(file))


def _text(file: str) -> str:
    """The text of a file, or of standard input; no more of it than a program may have."""
    try:
        if file == "-":
            raw = sys.stdin.buffer.read(4*MAX_TEXT + 1)
        else:
            with open(file, "rb") as stream:
                raw = stream.read(4*MAX_TEXT + 1)
        if len(raw) > 4*MAX_TEXT:
            raise Refusal(f"{file} is too long for a program; the limit is {MAX_TEXT} characters.")
        return raw.decode("utf-8-sig")
    except FileNotFoundError:
        hint = f" There is a layer of that name: {PREFIX}{file}" if file in ALL else ""
        raise Refusal(f"There is no file {file}.{hint}") from None
    except UnicodeDecodeError as error:
        raise Refusal(f"{file} is not a text in UTF-8: byte {error.start} is {raw[error.start]:#04x}.") from None
    except OSError as error:
        raise Refusal(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise Refusal(f"{file!r} cannot be read: {error}.") from None


def _layer(name: str) -> Layer:
    if name in ALL:
        return ALL[name]
    near = difflib.get_close_matches(name, ALL, 3)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`nnderiv layers` lists them."
    raise Refusal(f"There is no layer {name!r}. {hint}")


# ---- derive


def _derive(arguments: argparse.Namespace) -> int:
    d = _derivation(arguments)
    print(FORMATS[arguments.format](d) if not arguments.steps else STEPS[arguments.format](d))
    return OK


def _text_form(d: Derivation) -> str:
    """A program again: what is printed can be derived."""
    return str(d.backward)


def _latex(d: Derivation) -> str:
    return d.latex()


def _numpy(d: Derivation) -> str:
    return d.numpy().rstrip("\n")


def _markdown(d: Derivation) -> str:
    """A page: the program, its gradients, each of them in matrices and with its derivation, the module."""
    parts = [f"# {d.forward.title or 'Gradients'}", "## Forward", _mathematics(d.forward.latex())]
    parts += ["## Gradients", _mathematics(d.latex())]
    for gradient in d:
        parts += [f"### {gradient.name}", *_matrix_form(gradient), *_steps(gradient)]
    return "\n\n".join([*parts, "## NumPy", f"```python\n{_numpy(d)}\n```"])


def _matrix_form(gradient: Gradient) -> list[str]:
    try:
        return ["In matrices:", _mathematics(gradient.latex(form="matrix"))]
    except MatrixFormError as error:
        return [str(error)]


def _steps(gradient: Gradient) -> list[str]:
    """The derivation, step by step."""
    return [gradient.steps._repr_markdown_()] if gradient.steps else []


def _all_steps(d: Derivation) -> str:
    return "\n\n".join(str(gradient.steps) for gradient in d)


def _as_comments(text: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in text.splitlines())


def _mathematics(formula: str) -> str:
    return f"$$\n{formula.strip()}\n$$"


FORMATS: dict[str, Callable[[Derivation], str]] = {
    "text": _text_form,
    "latex": _latex,
    "markdown": _markdown,
    "numpy": _numpy,
}

# With --steps: what is printed stays a program, a document, a module.
STEPS: dict[str, Callable[[Derivation], str]] = {
    "text": lambda d: f"{_as_comments(_all_steps(d))}\n\n{_text_form(d)}",
    "latex": lambda d: d.document(),
    "markdown": _markdown,
    "numpy": lambda d: f"{_as_comments(_all_steps(d))}\n\n{_numpy(d)}",
}


# ---- check


def _check(arguments: argparse.Namespace) -> int:
    report = _derivation(arguments).check(seed=arguments.seed)
    print(report)
    return OK if report.ok else FAILED


# ---- regenerate


def _regenerate(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.to
    chosen = {name: _layer(name) for name in arguments.layers} or ALL
    if folder.exists() and not folder.is_dir():
        raise Refusal(f"{folder} is not a folder.")
    try:
        return (_compare if arguments.check else _write)(folder, chosen.values(), arguments)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise Refusal(f"{error.filename or folder} cannot be written or read: {error.strerror}.") from None


def _contents(chosen: Iterable[Layer], verbose: bool) -> Iterator[dict[str, str]]:
    """The files of each layer, with progress."""
    chosen = list(chosen)
    with Progress(len(chosen), sys.stderr, verbose) as progress:
        for layer in chosen:
            progress.at(layer.name)
            try:
                yield generated.contents(layer)
            except NNDerivError as error:
                raise Refusal(f"the layer {layer.name}: {error}") from error


def _stale(folder: Path, arguments: argparse.Namespace) -> list[Path]:
    """Generated files of no layer; where only some layers are asked for, the others are nobody's business."""
    return [] if arguments.layers else generated.stale(folder, ALL)


def _compare(folder: Path, chosen: Iterable[Layer], arguments: argparse.Namespace) -> int:
    differing: list[str] = []
    count = 0
    for wanted in _contents(chosen, arguments.verbose):
        count += len(wanted)
        differing += generated.difference(folder, wanted).values()
    differing += [generated.diff(generated.read(path), None, path) for path in _stale(folder, arguments)]
    sys.stdout.write("".join(differing))
    if not differing:
        print(f"{_files(count)} in {folder} up to date.")
        return OK
    sys.stdout.flush()
    return _end(FAILED, f"{_files(len(differing))} in {folder} not up to date; `nnderiv regenerate` writes them anew.")


def _write(folder: Path, chosen: Iterable[Layer], arguments: argparse.Namespace) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    written = unchanged = 0
    for wanted in _contents(chosen, arguments.verbose):
        changed = generated.difference(folder, wanted)
        for name in changed:
            generated.write(folder / name, wanted[name])
        written, unchanged = written + len(changed), unchanged + len(wanted) - len(changed)
    removed = _stale(folder, arguments)
    for path in removed:
        path.unlink()
        print(f"removed {path}, which belongs to no layer")
    print(f"{_files(written)} in {folder} written, {unchanged} unchanged, {len(removed)} removed.")
    return OK


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


class Progress:
    """Which of how many: one line that changes on a terminal, a line each with --verbose, nothing otherwise."""

    def __init__(self, total: int, stream: TextIO, verbose: bool):
        self.total, self.stream, self.done = total, stream, 0
        self.terminal = stream.isatty()
        self.shown = self.terminal or verbose

    def at(self, name: str) -> None:
        self.done += 1
        if self.shown:
            start, end = ("\r", "\x1b[K") if self.terminal else ("", "\n")
            self.stream.write(f"{start}[{self.done:{len(str(self.total))}}/{self.total}] {name}{end}")
            self.stream.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self.terminal:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


# ---- layers


def _layers(arguments: argparse.Namespace) -> int:
    if arguments.layers:
        print("\n\n".join(f"{layer}\n# source: {layer.source}" for layer in map(_layer, arguments.layers)))
        return OK
    width = max(map(len, ALL))
    for name, layer in ALL.items():
        print(f"{name:{width}}  {layer.about}")
    return OK


if __name__ == "__main__":
    sys.exit(main())
