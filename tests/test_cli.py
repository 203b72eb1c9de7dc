"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nnderiv as nd
from nnderiv import cli, layers
from nnderiv.cli import FAILED, INTERRUPTED, OK, PIPE_CLOSED, WRONG, main

ROOT = Path(__file__).resolve().parent.parent
DENSE = "X[N,I], W[I,O], b[O] -> Y\nY[n,o] = tanh(sum[i](X[n,i]*W[i,o]) + b[o])\n"
superuser = os.name != "posix" or os.geteuid() == 0


@pytest.fixture
def dense(tmp_path):
    path = tmp_path / "dense.txt"
    path.write_text(DENSE)
    return str(path)


@pytest.fixture
def typed(monkeypatch):
    """Puts a text on standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def run(*argv: str, stdout=subprocess.PIPE, **options) -> subprocess.CompletedProcess:
    """`nnderiv` in a process of its own."""
    command = [sys.executable, "-m", "nnderiv", *argv]
    return subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, timeout=120, **options)


def refused(capsys, *argv: str) -> str:
    """The message with which a command line is refused: on standard error, and with nothing on standard output."""
    assert main(argv) == WRONG
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("nnderiv: ") and "Traceback" not in err
    return err


# ---- derive


def test_derive_prints_the_gradients_as_a_program(capsys, dense):
    assert main(["derive", dense]) == OK
    out, err = capsys.readouterr()
    assert out == f"{nd.derive(DENSE).backward}\n" == f"{nd.parse(out)}\n"
    assert err == ""


def test_what_derive_prints_can_be_derived(capsys, dense, typed):
    main(["derive", dense])
    typed(capsys.readouterr().out)
    assert main(["derive", "-"]) == OK
    assert nd.parse(capsys.readouterr().out).outputs == nd.derive(nd.derive(DENSE).backward).backward.outputs


@pytest.mark.parametrize("wrt", [["--wrt", "W,b"], ["--wrt", "W", "--wrt", "b"], ["--wrt", " W , b,"], ["--wrt=W,b,W"]])
def test_wrt_narrows_the_gradients(capsys, dense, wrt):
    assert main(["derive", dense, *wrt]) == OK
    assert nd.parse(capsys.readouterr().out).outputs == ("dW", "db")


def test_wrt_of_something_that_is_no_input_is_refused(capsys, dense):
    assert "Q" in refused(capsys, "derive", dense, "--wrt", "W,Q")
    assert "--wrt" in refused(capsys, "derive", dense, "--wrt", ",")


def test_a_layer_is_a_program_too(capsys):
    assert main(["derive", "layer:dense", "--wrt", "b"]) == OK
    assert "db[o] = sum[n](dY[n,o])" in capsys.readouterr().out


def test_the_latex_is_that_of_the_derivation(capsys, dense):
    assert main(["derive", dense, "--format", "latex"]) == OK
    assert capsys.readouterr().out.strip() == nd.derive(DENSE).latex().strip()


def test_the_numpy_format_is_a_module(capsys, dense):
    assert main(["derive", dense, "--format", "numpy"]) == OK
    out = capsys.readouterr().out
    assert out.strip() == nd.derive(DENSE).numpy().strip()
    compile(out, "dense.py", "exec")


def test_the_markdown_has_every_gradient_and_the_module(capsys, dense):
    assert main(["derive", dense, "--format", "markdown"]) == OK
    out = capsys.readouterr().out
    assert re.findall("^### (.*)$", out, re.MULTILINE) == ["dX", "dW", "db"]
    assert nd.derive(DENSE).numpy().strip() in out
    assert out.count("\n$$\n") % 2 == 0 and out.count("```") == 2


@pytest.mark.parametrize("form", ["text", "latex", "markdown", "numpy"])
def test_the_steps_are_printed_in_every_format(capsys, dense, typed, form):
    assert main(["derive", dense, "--wrt", "W", "--format", form, "--steps"]) == OK
    out = capsys.readouterr().out
    assert "ronecker delta" in out and "found equal at 3 random samples" in " ".join(out.replace("\n# ", " ").split())
    if form == "text":
        assert nd.parse(out).outputs == ("dW",)  # a program still
    elif form == "numpy":
        compile(out, "dense.py", "exec")
    elif form == "latex":
        assert out.startswith(r"\documentclass") and out.rstrip().endswith(r"\end{document}")
    else:
        assert out.count("\n$$\n") % 2 == 0

# ---- errors


def test_an_error_in_the_notation_points_at_the_character(capsys, typed):
    typed("X[N] -> Y\nY[n] = X[m]\n")
    assert "Y[n] = X[m]\n         ^" in refused(capsys, "derive", "-")


@pytest.mark.parametrize("verb", ["derive", "check"])
def test_a_missing_file_is_named_and_a_layer_of_that_name_is_proposed(capsys, verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no file nowhere.txt" in refused(capsys, verb, "nowhere.txt")
    assert "layer:dense" in refused(capsys, verb, "dense")


def test_a_missing_layer_brings_the_nearest_to_mind(capsys):
    assert "Did you mean dense?" in refused(capsys, "derive", "layer:dens")
    assert "nnderiv layers" in refused(capsys, "check", "layer:")
    assert "conv2d" in refused(capsys, "regenerate", "conv2")
    assert "gru" in refused(capsys, "layers", "gnu")


def test_files_that_are_no_programs_are_refused(capsys, tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"X[N] \xff -> Y")
    long = tmp_path / "long"
    long.write_bytes(b"#" * 4_000_001)
    assert "byte 5 is 0xff" in refused(capsys, "derive", str(binary))
    assert "too long" in refused(capsys, "derive", str(long))
    assert "cannot be read" in refused(capsys, "derive", str(tmp_path))
    assert "cannot be read" in refused(capsys, "derive", "null\0byte")


@pytest.mark.skipif(superuser, reason="the superuser may read all")
def test_a_file_that_may_not_be_read_is_refused(capsys, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text(DENSE)
    secret.chmod(0)
    assert "cannot be read" in refused(capsys, "derive", str(secret))


def test_a_byte_order_mark_is_not_part_of_the_program(capsys, tmp_path):
    path = tmp_path / "marked.txt"
    path.write_bytes(b"\xef\xbb\xbf" + DENSE.encode())
    assert main(["derive", str(path)]) == OK


@pytest.mark.parametrize("argv", ["", "integrate", "derive", "derive a b", "derive a --format doc", "check a --seed x"])
def test_wrong_usage_shows_the_usage(capsys, argv):
    with pytest.raises(SystemExit) as end:
        main(argv.split())
    assert end.value.code == WRONG
    assert "usage: nnderiv" in capsys.readouterr().err


# ---- check


def test_check_reports_every_gradient(capsys, dense):
    assert main(["check", dense, "--seed", "3"]) == OK
    out = capsys.readouterr().out
    assert all(name in out for name in ("dX", "dW", "db"))


def test_a_check_that_fails_is_exit_code_1(capsys, dense, monkeypatch):
    class Report:
        ok = False
        __str__ = lambda self: "dW is wrong"

    monkeypatch.setattr(nd.Derivation, "check", lambda self, seed: Report())
    assert main(["check", dense]) == FAILED
    assert "dW is wrong" in capsys.readouterr().out


# ---- layers, help, version


def test_layers_lists_every_layer_in_a_line(capsys):
    assert main(["layers"]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(layers.ALL)


def test_layers_shows_texts_with_their_sources(capsys):
    assert main(["layers", "dense", "gru"]) == OK
    out = capsys.readouterr().out
    assert layers.ALL["dense"].text in out and layers.ALL["gru"].source in out


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"nnderiv {nd.__version__}\n"


@pytest.mark.parametrize("argv", [["-h"], ["derive", "-h"], ["check", "-h"], ["regenerate", "-h"], ["layers", "-h"]])
def test_help_fits_a_terminal(capsys, argv, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as end:
        main(argv)
    out = capsys.readouterr().out
    assert end.value.code == 0 and max(map(len, out.splitlines())) <= 120


# ---- as a process


def test_an_interrupted_command_says_so(capsys, monkeypatch, dense):
    def interrupted(text):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "parse", interrupted)
    assert main(["derive", dense]) == INTERRUPTED
    assert capsys.readouterr().err == "nnderiv: interrupted\n"


def test_a_reader_that_goes_away_is_no_error():
    ours, theirs = os.pipe()
    os.close(ours)
    done = run("layers", stdout=theirs)
    os.close(theirs)
    assert done.returncode == PIPE_CLOSED and done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_cannot_be_written_is_exit_code_2():
    with open("/dev/full", "w") as full:
        done = run("layers", stdout=full)
    assert done.returncode == WRONG
    assert b"cannot be written" in done.stderr and b"Traceback" not in done.stderr


def test_output_is_utf8_whatever_the_locale():
    done = run("layers", "scaled_dot_product_attention", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == OK and "Kᵀ/√D" in done.stdout.decode("utf-8")


def test_standard_input_is_read_from_a_pipe():
    done = run("derive", "-", "--wrt", "b", input=DENSE.encode())
    assert done.returncode == OK and b"db[o]" in done.stdout


def test_the_command_needs_neither_numpy_nor_its_import_time():
    """Help, lists and formulas are there for those who installed SymPy alone, and at once."""
    text = "import sys; from nnderiv.cli import main; main(['derive', 'layer:dense']); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", text], cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0
