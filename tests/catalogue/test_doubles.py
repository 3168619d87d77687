"""The doubles answer in the shapes that the vendors' documents record: statuses, fields, and what is refused."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from app.connectors.messages import Reply, Request
from tests.support.vendors.base import Vendor
from tests.support.vendors.entra import Entra, EntraTokens
from tests.support.vendors.github import GitHub
from tests.support.vendors.jira import Jira
from tests.support.vendors.mailman import Mailman
from tests.support.vendors.okta import Okta
from tests.support.vendors.scim import PATCH, USER, Scim
from tests.support.vendors.slack import Slack

ADA = {"schemas": [USER], "userName": "ada@example.org", "displayName": "Ada"}
ADA["emails"] = [{"value": "ada@example.org", "primary": True}]  # type: ignore[assignment]


def ask(vendor: Vendor, method: str, path: str, body: Any = None, **query: str) -> Reply:
    secret = vendor.credential
    pair = base64.b64encode(f"{getattr(vendor, 'user', 'restadmin')}:{secret}".encode()).decode()
    signs = {
        Okta: f"SSWS {secret}",
        Jira: f"Basic {pair}",
        Mailman: f"Basic {pair}",
        Entra: "Bearer graph-token",
    }
    headers = {
        "Authorization": signs.get(type(vendor), f"Bearer {secret}"),
        "Content-Type": "application/json",
    }
    headers["X-GitHub-Api-Version"] = "2022-11-28"
    raw = None if body is None else json.dumps(body).encode()
    if isinstance(vendor, Mailman) and body:
        headers["Content-Type"], raw = "application/x-www-form-urlencoded", urlencode(body).encode()
    return vendor.send(Request(method, f"{vendor.base}{path}?{urlencode(query)}", headers, raw))


def said(reply: Reply) -> Any:
    return json.loads(reply.body) if reply.body else None


@pytest.mark.parametrize(
    "vendor", [Scim, Slack, Okta, Entra, GitHub, Jira, Mailman], ids=lambda one: one.__name__
)
def test_beside_its_base_path_a_vendor_answers_with_a_page_and_a_stranger_is_not_let_in(
    vendor: type[Vendor],
) -> None:
    one = vendor()
    lost = one.send(Request("GET", f"https://{one.base.split('/')[2]}/elsewhere/x"))
    if one.base.count("/") > 2:
        assert (lost.status, lost.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert one.send(Request("GET", f"{one.base}/Users", {"X-GitHub-Api-Version": "2022-11-28"})).status == 401
    assert one.too_many().status in (403, 429)
    assert one.writes == []


def test_a_scim_service_keeps_user_names_apart_and_names_what_is_missing() -> None:
    one = Scim()
    made = ask(one, "POST", "/Users", ADA | {"externalId": "7"})
    number = said(made)["id"]
    assert (made.status, made.headers["location"]) == (201, f"{one.base}/Users/{number}")
    again = ask(one, "POST", "/Users", ADA | {"userName": "ADA@example.org"})
    assert (again.status, said(again)["scimType"]) == (409, "uniqueness")
    lacking = ask(one, "POST", "/Users", {"schemas": [USER], "userName": "x"})
    assert (lacking.status, said(lacking)["status"]) == (400, "400")
    assert ask(one, "POST", "/Users", ADA | {"userName": "y", "name": {"familyName": ""}}).status == 400
    found = said(ask(one, "GET", "/Users", filter='externalId eq "7"'))
    assert (found["totalResults"], [entry["id"] for entry in found["Resources"]]) == (1, [number])
    nobody = said(ask(one, "GET", "/Users", filter='userName eq "o\\"neil"'))
    assert (nobody["totalResults"], "Resources" in nobody) == (0, False)
    assert said(ask(one, "GET", "/Users", filter='nickName eq "x"'))["scimType"] == "invalidFilter"
    off = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    assert said(ask(one, "PATCH", f"/Users/{number}", off))["active"] is False
    assert ask(one, "PATCH", "/Users/nobody", off).status == 404
    one.delete(number)
    assert said(ask(one, "POST", "/Users", ADA))["id"] != number
    assert [entry.method for entry in one.writes] == ["POST", "PATCH", "POST"]


def test_a_scim_service_that_ignores_filters_lists_everybody_a_page_at_a_time() -> None:
    one = Slack(ignores_filters=True)
    for number in range(12):
        one.seed(f"p{number}@example.org")
    found = said(ask(one, "GET", "/Users", filter='email eq "nobody@example.org"'))
    assert (found["totalResults"], found["itemsPerPage"]) == (12, 10)


def test_slack_names_members_itself_and_deactivates_them_by_delete() -> None:
    one = Slack()
    made = said(ask(one, "POST", "/Users", ADA))
    assert made["userName"] == "ada_example.org"
    taken = ask(one, "POST", "/Users", ADA)
    assert (taken.status, said(taken)["detail"]) == (409, "email_taken")
    assert ask(one, "DELETE", f"/Users/{made['id']}").status == 204
    found = said(ask(one, "GET", "/Users", filter='email eq "ADA@example.org"'))
    assert [(entry["id"], entry["active"]) for entry in found["Resources"]] == [(made["id"], False)]
    assert ask(one, "GET", "/Users", filter='externalId eq "1"').status == 400
    name = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "displayName", "value": "Ada"}]}
    assert said(ask(one, "PATCH", f"/Users/{made['id']}", name))["detail"] == "invalid_display_name"


def test_okta_answers_400_to_a_login_that_exists_and_moves_users_by_their_status() -> None:
    one = Okta()
    profile = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@x.org", "login": "ada@x.org"}
    made = said(ask(one, "POST", "/api/v1/users", {"profile": profile}, activate="true"))
    again = ask(one, "POST", "/api/v1/users", {"profile": profile})
    assert (again.status, said(again)["errorCode"]) == (400, "E0000001")
    assert said(again)["errorCauses"][0]["errorSummary"].startswith(
        "login: An object with this field already"
    )
    assert said(ask(one, "GET", "/api/v1/users/ADA@x.org"))["id"] == made["id"]
    path = f"/api/v1/users/{made['id']}"
    assert said(ask(one, "POST", f"{path}/lifecycle/activate"))["errorCode"] == "E0000016"
    assert ask(one, "POST", f"{path}/lifecycle/deactivate").status == 200
    # A deactivated user is found and can be activated, and nothing else.
    for call in (f"{path}/lifecycle/deactivate", path):
        gone = ask(one, "POST", call, {"profile": {}})
        assert (gone.status, said(gone)["errorCode"]) == (404, "E0000007")
    assert said(ask(one, "GET", path))["status"] == "DEPROVISIONED"
    assert (
        said(ask(one, "GET", "/api/v1/users", search='profile.login eq "ada@x.org"'))[0]["id"] == made["id"]
    )
    assert ask(one, "GET", "/api/v1/users", search="login is ada").status == 400
    one.slow = 2
    assert ask(one, "POST", f"{path}/lifecycle/activate").status == 200
    seen = [said(ask(one, "GET", path)) for _ in range(2)]
    assert [(user["status"], user["transitioningToStatus"]) for user in seen] == [
        ("DEPROVISIONED", "ACTIVE"),
        ("PROVISIONED", None),
    ]
    assert one.too_many().headers["X-Rate-Limit-Reset"].isdecimal()


def test_entra_wants_its_permissions_and_gives_accounts_by_id_or_principal_name() -> None:
    one = Entra()
    number = one.seed("Ada@Acme.example", mail="ada@example.org")
    found = said(ask(one, "GET", "/users/ada@acme.example", **{"$select": "id,accountEnabled"}))
    assert found == {"id": number, "accountEnabled": True}
    nobody = ask(one, "GET", "/users/bo@acme.example")
    assert (nobody.status, said(nobody)["error"]["code"]) == (404, "Request_ResourceNotFound")
    listed = said(ask(one, "GET", "/users", **{"$filter": "mail eq 'ADA@example.org'"}))["value"]
    assert [user["id"] for user in listed] == [number]
    assert ask(one, "GET", "/users", **{"$filter": "mail eq 'o'brien'"}).status == 400
    assert ask(one, "PATCH", f"/users/{number}", {"accountEnabled": False}).status == 204
    assert said(ask(one, "POST", f"/users/{number}/revokeSignInSessions"))["value"] is True
    one.may = {"User.Read.All"}
    denied = ask(one, "PATCH", f"/users/{number}", {"accountEnabled": True})
    assert (denied.status, said(denied)["error"]["code"]) == (403, "Authorization_RequestDenied")
    tokens = EntraTokens()
    body = urlencode({"grant_type": "client_credentials", "client_secret": "wrong"}).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert tokens.send(Request("POST", f"{tokens.base}/token", form, body)).status == 401


def test_github_demotes_an_owner_who_is_made_a_member_and_takes_back_invitations() -> None:
    one = GitHub()
    owner = said(ask(one, "GET", "/orgs/acme/memberships/The-Owner"))
    assert (owner["role"], owner["state"]) == ("admin", "active")
    assert said(ask(one, "PUT", "/orgs/acme/memberships/the-owner", {"role": "member"}))["role"] == "member"
    ada = one.seed("ada")
    assert ask(one, "GET", "/orgs/acme/memberships/ada").status == 404
    invited = said(ask(one, "PUT", "/orgs/acme/memberships/ada", {"role": "member"}))
    assert (invited["state"], invited["user"]["id"]) == ("pending", ada)
    assert said(ask(one, "GET", f"/user/{ada}"))["login"] == "ada"
    assert [ask(one, "DELETE", "/orgs/acme/memberships/ada").status for _ in range(2)] == [204, 404]
    assert ask(one, "PUT", "/orgs/acme/memberships/nobody", {"role": "member"}).status == 404
    assert one.too_fast().headers["Retry-After"] == "60"


def test_jira_gives_the_account_that_an_address_has_and_hides_addresses() -> None:
    one = Jira()
    wanted = {"emailAddress": "ada@example.org", "products": ["jira-software"]}
    made = ask(one, "POST", "/rest/api/3/user", wanted)
    number = said(made)["accountId"]
    assert (made.status, said(ask(one, "POST", "/rest/api/3/user", wanted))["accountId"]) == (201, number)
    lacking = ask(one, "POST", "/rest/api/3/user", {"emailAddress": "bo@example.org"})
    assert (lacking.status, list(said(lacking))) == (400, ["errorMessages", "errors"])
    assert said(ask(one, "GET", "/rest/api/3/user/search", query="ada@"))[0]["accountId"] == number
    one.hidden.add(number)
    assert "emailAddress" not in said(ask(one, "GET", "/rest/api/3/user", accountId=number))
    assert ask(one, "DELETE", "/rest/api/3/user", accountId=number).status == 204
    assert said(ask(one, "GET", "/rest/api/3/user", accountId=number))["active"] is False
    assert [ask(one, "DELETE", "/rest/api/3/user", accountId=text).status for text in ("", "x")] == [400, 404]


def test_mailman_takes_forms_and_finds_members_with_wildcards() -> None:
    one = Mailman()
    wanted = {"list_id": "staff.example.org", "subscriber": "Ada@example.org"}
    sure = dict.fromkeys(("pre_verified", "pre_confirmed", "pre_approved"), "true")
    made = ask(one, "POST", "/members", wanted | sure)
    number = made.headers["location"].rpartition("/")[2]
    again = ask(one, "POST", "/members", wanted | sure)
    assert (again.status, said(again)["description"]) == (409, "Member already subscribed")
    assert (
        said(ask(one, "POST", "/members", wanted | sure | {"list_id": "no"}))["description"] == "No such list"
    )
    assert ask(one, "POST", "/members", wanted | {"subscriber": "bo@example.org"}).status == 202
    found = said(ask(one, "GET", "/members/find", list_id="staff.example.org", subscriber="*@example.org"))
    assert (found["total_size"], found["entries"][0]["member_id"]) == (1, number)
    nobody = said(ask(one, "GET", "/members/find", subscriber="bo@example.org"))
    assert (nobody["total_size"], "entries" in nobody) == (0, False)
    assert [ask(one, "DELETE", f"/members/{number}").status for _ in range(2)] == [204, 404]
