"""Settings: what there is to set, what is refused at the start, and secrets that are kept in files."""
