"""How runs are decided: plain data and functions, standard library only, no I/O, no clock, no randomness."""
