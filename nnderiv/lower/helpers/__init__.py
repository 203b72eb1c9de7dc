"""The text of the functions that emitted modules carry with them, by theme; `runtime` hands them out."""
