"""How fast: `python -m benchmarks` times emitted modules beside hand-written NumPy and other libraries. Never part of the tests."""
