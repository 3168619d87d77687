"""Connection and workflow templates for systems that administrators ask for first: plain data."""
