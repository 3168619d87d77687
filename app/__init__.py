"""Access Automation: who has access to which application, and the outside world made to match."""
