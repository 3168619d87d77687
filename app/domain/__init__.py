"""The core: what is decided, and in which words. Plain data and pure functions on the standard library alone."""
