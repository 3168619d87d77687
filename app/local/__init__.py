"""What `make run` and `make demo` are made of. None of it runs in production."""
