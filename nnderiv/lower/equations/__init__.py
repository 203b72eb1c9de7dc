"""Passes over programs: each gives equations that mean the same as those it is given."""
