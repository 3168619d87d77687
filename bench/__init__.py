"""The benchmarks of `make bench`: the real worker on a mock external system, beside a bare client."""
