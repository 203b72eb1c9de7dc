"""Programs -> NumPy source: `passes` over equations, `schedule`, `emit`, and `passes` over its statements; `module` puts them together."""
