"""How runs move in the database: the engine's decisions, read and written for many runs in one transaction."""

from app.services.advance.claims import adopt, claim, renew, take_back_lost
from app.services.advance.moves import Move, Moved, advance

__all__ = ["Move", "Moved", "adopt", "advance", "claim", "renew", "take_back_lost"]
