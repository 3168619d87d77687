"""Canaille, an OpenID provider, in memory on one loopback port; run by the Python of its own environment.

Reads from standard input, as JSON: port, client_id, client_secret, redirect_uris, people and groups.
"""

from __future__ import annotations

import json
import sys

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

given = json.load(sys.stdin)
address = f"127.0.0.1:{given['port']}"
key = RSAKey.generate_key(2048, auto_kid=True)
app = create_app(
    {
        "SECRET_KEY": "it lives as long as one test",
        "SERVER_NAME": address,
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "CAPTCHA_ENABLED": False, "SMTP": None},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]},
    }
)
# It sends no email_verified unless it is told how to know.
mapping = app.config["CANAILLE_OIDC"]["USERINFO_MAPPING"]
mapping["EMAIL_VERIFIED"] = "{% if user.title == 'verified' %}true{% endif %}"
with app.app_context(), Backend.instance.session():
    people = {}
    for one in given["people"]:
        name = one["user_name"]
        people[name] = models.User(
            user_name=name,
            formatted_name=name.capitalize(),
            family_name=name.capitalize(),
            emails=[one["email"]],
            password=given["password"],
            title="verified" if one["verified"] else None,
        )
        Backend.instance.save(people[name])
    for name, members in given["groups"].items():
        Backend.instance.save(models.Group(display_name=name, members=[people[one] for one in members]))
    client = models.Client(
        client_id=given["client_id"],
        client_secret=given["client_secret"],
        client_name="Access Automation",
        # A trusted domain of its configuration: it asks for no consent.
        client_uri=f"http://{address}",
        redirect_uris=given["redirect_uris"],
        grant_types=["authorization_code"],
        response_types=["code"],
        scope=["openid", "profile", "email", "groups"],
        token_endpoint_auth_method="client_secret_basic",
    )
    Backend.instance.save(client)
    client.audience = [client]
    Backend.instance.save(client)
make_server("127.0.0.1", given["port"], app, threaded=True).serve_forever()
