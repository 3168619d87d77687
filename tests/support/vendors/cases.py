"""The templates with the doubles that they are run against, in one form, so that one scenario fits all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app.crypto import KeyRing
from app.permissions import Actor
from tests.support.vendors.base import Vendor
from tests.support.vendors.entra import Entra, EntraTokens
from tests.support.vendors.github import GitHub
from tests.support.vendors.jira import Jira
from tests.support.vendors.mailman import Mailman
from tests.support.vendors.okta import Okta
from tests.support.vendors.scim import Scim
from tests.support.vendors.slack import Slack
from tests.support.vendors.world import World

ADA, BOSS = "ada@example.org", "boss@example.org"
LIST = "staff.example.org"


@dataclass(frozen=True)
class Case:
    """One template: its double, what the administrator answers, and what differs between vendors.

    `there` makes an account for Ada beside the console; `makes`: a grant makes accounts where there are none.
    """

    key: str
    vendor: Callable[..., Any]
    there: Callable[[Any], Any] = lambda vendor: vendor.seed(ADA)
    answers: dict[str, str] = field(default_factory=dict)
    others: tuple[Callable[[], Vendor], ...] = ()
    secret: str = Vendor.credential
    level: str = ""
    username: str | None = None
    makes: bool = True

    def world(self, session: Session, admin: Actor, keyring: KeyRing, vendor: Any) -> World:
        others = [make() for make in self.others]
        return World(
            session,
            admin,
            keyring,
            self.key,
            vendor,
            *others,
            secret=self.secret,
            level=self.level,
            **self.answers,
        )

    def ada(self, world: World) -> Any:
        return world.person(ADA, username=self.username)


def _known_to_github(vendor: GitHub) -> int:
    return vendor.join("ada")


CASES = (
    Case("scim", Scim),
    Case("slack", Slack),
    Case("okta", Okta, secret=f"SSWS {Vendor.credential}"),
    Case(
        "entra",
        Entra,
        answers={"token_url": f"{EntraTokens.base}/token", "client_id": "console"},
        others=(EntraTokens,),
        makes=False,
    ),
    Case("github", GitHub, _known_to_github, {"organisation": "acme"}, username="ada"),
    Case("jira", Jira, answers={"username": Jira.user}),
    Case("mailman", Mailman, level=LIST),
)
