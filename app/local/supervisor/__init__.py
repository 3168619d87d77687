"""What `make run` is: embedded servers, console and workers, started, watched and stopped together."""
