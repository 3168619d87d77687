"""How runs move: decide and evolve, the signals they know, retries, breakers, and a run that is only simulated."""
