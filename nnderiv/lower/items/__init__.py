"""Statements, and passes over them: each gives items that compute the same as those it is given."""
