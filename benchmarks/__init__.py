"""How fast: `python -m benchmarks` prints the time of deriving, and of the emitted code beside PyTorch. Never part of the tests."""
