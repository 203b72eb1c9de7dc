"""Program -> NumPy source, in passes: `explicit` (masks), `hoist`, `schedule`, then `emit` with `arrays` and `contract`."""
