"""API / HTTP: one HTTP call, with what is kept of its answer."""
