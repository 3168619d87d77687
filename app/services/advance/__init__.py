"""How runs move in the database: the engine's decisions, read and written for many runs in one transaction."""

from app.services.advance.claiming import adopt, claim, renew, take_back_lost
from app.services.advance.moving import Move, Moved, advance

__all__ = ["Move", "Moved", "adopt", "advance", "claim", "renew", "take_back_lost"]
