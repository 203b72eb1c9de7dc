"""Programs -> NumPy source: passes over `equations`, `schedule`, `emit`, and passes over its `items`; `module` puts them together."""
