"""Laws on random programs; the long run (`python -m tests.long_run`) asks the same of many more."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import laws
from tests.strategies import programs

short = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@short
@given(programs(), st.integers(0, 10**6))
def test_what_is_printed_reads_as_the_same_program(text: str, seed: int) -> None:
    laws.printed(text, seed)


@short
@given(programs(), st.integers(0, 10**6))
def test_gradients_agree_with_dual_numbers_exactly(text: str, seed: int) -> None:
    laws.derived(text, seed)


@settings(short, max_examples=30)
@given(programs(), st.integers(0, 10**6))
def test_second_derivatives_are_symmetric(text: str, seed: int) -> None:
    laws.symmetric(text, seed)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(short, max_examples=100)
@given(programs(), st.integers(0, 10**6))
def test_emitted_code_agrees_with_the_interpreter(text: str, seed: int) -> None:
    laws.emitted(text, seed)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(short, max_examples=40)
@given(programs(), st.integers(0, 10**6))
def test_leaving_an_optimisation_out_changes_no_result(text: str, seed: int) -> None:
    laws.switched(text, seed)


@settings(short, max_examples=40)
@given(programs(), st.integers(0, 10**6))
def test_simplifying_keeps_values_and_is_idempotent(text: str, seed: int) -> None:
    laws.tidied(text, seed)


@settings(short, max_examples=40)
@given(programs(), st.integers(0, 10**6))
def test_names_and_order_change_only_names_and_order(text: str, seed: int) -> None:
    laws.rewritten(text, seed)
