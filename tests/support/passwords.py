"""Signing in with a password as the page does it, in one call."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from app.services import accounts, passwords


def check_password(
    session: Session, email: str, password: str, *, now: datetime, source: str = ""
) -> accounts.SignIn:
    """The three acts in one: find who it may be, judge the password, and settle it."""
    candidate = accounts.find_candidate(session, email, now=now, source=source)
    matches = passwords.matches(candidate.password_hash, password)
    return accounts.settle(session, candidate, matches, now=now, source=source)
