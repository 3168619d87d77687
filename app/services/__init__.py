"""The verbs: what changes records. Services take a session or connection, and never commit."""
