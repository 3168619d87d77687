"""What a grant event starts and why not, whether a run still carries the newest intent, and the grant's chip."""
