"""What works in the background: the RQ worker that holds many runs, and the sweeper that finds lost ones."""
