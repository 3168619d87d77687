"""Settings: what is taken, what is made, what is refused and in which words."""

from __future__ import annotations

import base64
import stat
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app.config import files
from app.config.checks import SettingsError
from app.config.settings import Settings, load_settings

# Made here and not drawn: parallel test processes must collect tests of the same names.
KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
OTHER_KEY = base64.urlsafe_b64encode(b"o" * 32).decode()
PASSWORD = "pa55-of-a-test"
SINGLE_SIGN_ON = {
    "OIDC_ISSUER": "https://id.example/",
    "OIDC_CLIENT_ID": "console",
    "OIDC_CLIENT_SECRET": PASSWORD,
}


def load(folder: Path, **values: str) -> Settings:
    return load_settings({"DATA_DIR": str(folder), **values}, env_file=None)


def production(**values: str) -> dict[str, str]:
    return {
        "APP_ENV": "production",
        "SECRET_KEY": "a-long-value-of-this-test",
        "CREDENTIAL_KEYS": KEY,
        "DATABASE_URL": "postgresql://console@db.example/console",
        "REDIS_URL": "redis://cache.example:6379/0",
        **values,
    }


def test_without_any_setting_everything_is_embedded_in_the_data_folder(tmp_path: Path) -> None:
    settings = load(tmp_path / "data")
    assert settings.is_embedded_database
    assert settings.is_embedded_redis
    assert settings.database_url == f"sqlite:///{tmp_path}/data/console.sqlite3"
    assert settings.redis_socket == tmp_path / "data" / "redis.sock"
    assert (settings.app_env, settings.port, settings.log_format) == ("development", 8000, "text")
    assert (settings.worker_concurrency, settings.lease_seconds, settings.sweep_seconds) == (32, 15, 5)
    assert settings.session_hours == 12


def test_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first, second = load(folder), load(folder)
    assert first.secret_key == second.secret_key
    assert first.credential_keys == second.credential_keys
    assert Fernet(first.credential_keys[0])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("secret-key", "credential-keys"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_a_key_file_that_others_could_read_is_closed(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "secret-key").chmod(0o644)
    load(tmp_path)
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_starting_at_the_same_moment_gives_everybody_the_same_key(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    made = iter(range(8))
    found: list[str] = []

    def start() -> None:
        barrier.wait()
        found.append(files.read_or_make(tmp_path / "new" / "key", lambda: f"key-{next(made)}"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 8
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"key", ".lock"}


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / "settings.env"
    env_file.write_text(
        f"PORT=9001\nSESSION_HOURS=3\nSECRET_KEY=with$dollar\nDATA_DIR={tmp_path}\nSOMETHING_ELSE=1\n"
    )
    settings = load_settings({"PORT": "9002"}, env_file=env_file)
    assert (settings.port, settings.session_hours, settings.secret_key) == (9002, 3, "with$dollar")


def test_an_empty_value_counts_as_not_set(tmp_path: Path) -> None:
    settings = load(tmp_path, PORT="", REDIS_URL="  ", OIDC_ISSUER="")
    assert settings.port == 8000
    assert settings.is_embedded_redis


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_gets_our_driver_and_keeps_its_password(
    tmp_path: Path, scheme: str
) -> None:
    settings = load(tmp_path, DATABASE_URL=f"{scheme}://ada:p%40ss@db.example:5433/console?sslmode=require")
    assert settings.database_url == "postgresql+psycopg://ada:p%40ss@db.example:5433/console?sslmode=require"
    assert not settings.is_embedded_database


def test_the_console_is_in_utc_unless_it_is_told_where_it_is(tmp_path: Path) -> None:
    assert load(tmp_path).time_zone == "UTC"
    assert load(tmp_path, TIME_ZONE="Europe/Paris").time_zone == "Europe/Paris"


def test_lists_are_split_and_trimmed(tmp_path: Path) -> None:
    settings = load(
        tmp_path, EGRESS_ALLOW=" intranet:443, 10.0.0.0/8 ,,[::1]:8080", CREDENTIAL_KEYS=f"{KEY}, {OTHER_KEY}"
    )
    assert settings.egress_allow == ("intranet:443", "10.0.0.0/8", "[::1]:8080")
    assert settings.credential_keys == (KEY, OTHER_KEY)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "eighty", "'eighty' is not a whole number; it should be a whole number from 1 to 65535"),
        ("PORT", "0", "0 is out of range"),
        ("WORKER_CONCURRENCY", "513", "513 is out of range; it should be a whole number from 1 to 512"),
        ("LEASE_SECONDS", "4", "from 5 to 300"),
        ("SWEEP_SECONDS", "61", "from 1 to 60"),
        ("SESSION_HOURS", "1.5", "from 1 to 720"),
        ("TIME_ZONE", "Europe/Pariss", "is no time zone; it should be a name such as Europe/Paris or UTC"),
        ("TIME_ZONE", "../zone", "is no time zone"),
        ("TIME_ZONE", "localtime", "is no time zone"),
        ("APP_ENV", "staging", "it should be development or production"),
        ("LOG_FORMAT", "xml", "it should be text or json"),
        ("ALLOW_SQLITE", "perhaps", "it should be 1 or 0"),
        ("DATABASE_URL", f"mysql://ada:{PASSWORD}@db/console", "'mysql' is not supported"),
        ("DATABASE_URL", f"postgresql://ada:{PASSWORD}@db:port/console", "is not a database URL"),
        ("DATABASE_URL", f"postgresql://ada:{PASSWORD}@db", "names no database"),
        ("DATABASE_URL", f"postgresql+psycopg2://ada:{PASSWORD}@db/console", "is not supported"),
        ("DATABASE_URL", "sqlite://", "is in memory"),
        ("REDIS_URL", f"http://:{PASSWORD}@cache", "it should be like redis://"),
        ("REDIS_URL", f"redis://:{PASSWORD}@cache:many", "is not a URL"),
        ("REDIS_URL", "unix://", "names no socket"),
        ("CREDENTIAL_KEYS", f"{KEY},{PASSWORD}", "key 2 of 2 is not a Fernet key"),
        ("CREDENTIAL_KEYS", f"{KEY},{KEY}", "holds the same key twice"),
        ("EGRESS_ALLOW", "https://intranet", "is not a host, host:port or network: leave out the scheme"),
        ("EGRESS_ALLOW", "intranet:70000", "The port must be a number from 1 to 65535."),
        # These passed the check at the start once, and then broke it with a traceback.
        ("EGRESS_ALLOW", "10.0.0.5/8", "is not a host, host:port or network"),
        ("EGRESS_ALLOW", "169.254.169.254", "which is never allowed"),
        (
            "PUBLIC_URL",
            "console.example",
            "it should be an absolute URL that starts with http:// or https://",
        ),
        ("SMTP_URL", f"https://ada:{PASSWORD}@mail.example", "smtp:// or smtps://"),
        ("SMTP_URL", f"smtp://ada:{PASSWORD}@mail.example/inbox", "something after the host"),
        ("SMTP_URL", f"smtp://ada:{PASSWORD}@mail.example?tls=off", "without a password only"),
        ("SMTP_URL", f"smtp://ada:{PASSWORD}@mail.example?from=nobody", "something after the host"),
        ("ALERT_WEBHOOK_URL", "ftp://alerts.example", "http:// or https://"),
        ("ALERT_WEBHOOK_SECRET", f"whsec_{PASSWORD}", "is no signing secret"),
        ("OIDC_ISSUER", "not a url", "http:// or https://"),
        ("OIDC_ISSUER", f"https://ada:{PASSWORD}@id.example", "is no issuer"),
        ("OIDC_ISSUER", "https://id.example/?realm=staff", "is no issuer"),
        ("OIDC_ISSUER", "https://id.example/a/../b", "is no issuer"),
        ("OIDC_ISSUER", "https://bücher.example", "is no issuer"),
        ("DATA_DIR", "/proc/nothing-can-be-made-here", "cannot be written"),
        ("DATA_DIR", "data?dir", "should be a plain folder name"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_the_setting_and_no_secret(
    tmp_path: Path, name: str, value: str, says: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, **{name: value})
    line = str(refused.value)
    assert line.startswith(f"{name}: ")
    assert says in line
    assert "\n" not in line
    assert PASSWORD not in line


def test_single_sign_on_is_all_or_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, **SINGLE_SIGN_ON).oidc_issuer == "https://id.example"
    for left_out in SINGLE_SIGN_ON:
        with pytest.raises(SettingsError, match=f"^{left_out}: is not set"):
            load(tmp_path, **{name: value for name, value in SINGLE_SIGN_ON.items() if name != left_out})


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", ()),
        ("Identity admins=admin", (("Identity admins", "admin"),)),
        (" Identity admins = Admin ,Staff=member, ", (("Identity admins", "admin"), ("Staff", "member"))),
        (
            "cn=admins,dc=example,dc=org=admin,cn=staff=viewer",
            (("cn=admins,dc=example,dc=org", "admin"), ("cn=staff", "viewer")),
        ),
    ],
)
def test_groups_that_give_roles_may_have_any_name(
    tmp_path: Path, text: str, pairs: tuple[tuple[str, str], ...]
) -> None:
    settings = load(tmp_path, **SINGLE_SIGN_ON, OIDC_GROUP_ROLES=text)
    assert settings.oidc_group_roles == pairs
    assert settings.oidc_groups_claim == "groups"


@pytest.mark.parametrize("text", ["Staff", "Staff=owner", "=admin", "Staff=member,Staff=admin", "a=admin,b"])
def test_groups_without_a_role_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"^OIDC_GROUP_ROLES: .*it should be like"):
        load(tmp_path, **SINGLE_SIGN_ON, OIDC_GROUP_ROLES=text)


@pytest.mark.parametrize("more", [{"OIDC_GROUP_ROLES": "Staff=member"}, {"OIDC_TRUST_EMAIL": "1"}])
def test_what_belongs_to_single_sign_on_is_refused_without_it(tmp_path: Path, more: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="means nothing without single sign-on"):
        load(tmp_path, **more)


def test_production_with_everything_of_its_own_makes_no_file(tmp_path: Path) -> None:
    settings = load(tmp_path / "data", **production())
    assert settings.is_production
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"CREDENTIAL_KEYS": ""}, "CREDENTIAL_KEYS"),
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite:////srv/console.sqlite3"}, "DATABASE_URL"),
        ({"REDIS_URL": ""}, "REDIS_URL"),
        ({"DEMO_DATA": "1"}, "DEMO_DATA"),
        ({"EGRESS_ALLOW": "localhost"}, "EGRESS_ALLOW"),
        ({"EGRESS_ALLOW": "127.0.0.0/8"}, "EGRESS_ALLOW"),
    ],
)
def test_production_refuses_what_is_only_for_trying_out(
    tmp_path: Path, changed: dict[str, str], name: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path / "data", **production(**changed))
    assert refused.value.name == name
    assert not (tmp_path / "data").exists()


def test_production_on_sqlite_is_a_decision_that_must_be_stated(tmp_path: Path) -> None:
    assert load(tmp_path, **production(DATABASE_URL="", ALLOW_SQLITE="1")).is_embedded_database


def test_production_may_open_one_port_of_its_own_machine(tmp_path: Path) -> None:
    assert load(tmp_path, **production(EGRESS_ALLOW="localhost:8443")).egress_allow == ("localhost:8443",)


def test_the_socket_of_the_embedded_redis_stays_short_enough_to_be_one(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 30)
    first, second = load(folder), load(folder)
    socket = first.redis_socket
    assert socket is not None
    assert socket == second.redis_socket
    assert len(str(socket)) < 100
    assert first.is_embedded_redis
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    socket.parent.rmdir()


def test_a_short_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 30)
    socket = load(folder).redis_socket
    assert socket is not None
    socket.parent.chmod(0o777)
    try:
        with pytest.raises(SettingsError, match=r"^DATA_DIR: .* is open to other users"):
            load(folder)
    finally:
        socket.parent.rmdir()


def test_its_own_endpoints_are_the_database_redis_and_web(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        DATABASE_URL="postgresql://ada@db.example/console",
        REDIS_URL="rediss://cache.example:6390/1",
        PORT="8123",
        PUBLIC_URL="https://access.example/",
    )
    assert settings.own_endpoints() == [
        ("db.example", 5432),
        ("cache.example", 6390),
        ("127.0.0.1", 8123),
        ("::1", 8123),
        ("access.example", 443),
    ]


def test_own_endpoints_know_every_host_of_a_database_url(tmp_path: Path) -> None:
    url = "postgresql://ada@/console?host=one.example:5433,two.example"
    assert load(tmp_path, DATABASE_URL=url).own_endpoints()[:2] == [
        ("one.example", 5433),
        ("two.example", 5432),
    ]


def test_printing_settings_shows_no_secret(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        DATABASE_URL=f"postgresql://ada:{PASSWORD}@db.example/console",
        REDIS_URL=f"redis://:{PASSWORD}@cache.example",
        SECRET_KEY=PASSWORD,
        CREDENTIAL_KEYS=KEY,
        SMTP_URL=f"smtp://ada:{PASSWORD}@mail.example",
    )
    for text in (repr(settings), str(settings), f"{settings}"):
        assert PASSWORD not in text
        assert KEY not in text


def test_a_webhooks_secret_without_the_webhook_is_refused(tmp_path: Path) -> None:
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    with pytest.raises(SettingsError, match=r"^ALERT_WEBHOOK_SECRET: is set, but ALERT_WEBHOOK_URL"):
        load(tmp_path, ALERT_WEBHOOK_SECRET=secret)
    load(tmp_path, ALERT_WEBHOOK_SECRET=f"{secret} {secret}", ALERT_WEBHOOK_URL="https://alerts.example/x")


def test_links_in_messages_begin_with_the_public_address_or_this_hosts_own(tmp_path: Path) -> None:
    assert load(tmp_path, PUBLIC_URL="https://access.example/").base_url == "https://access.example"
    assert load(tmp_path, PORT="8123").base_url == "http://127.0.0.1:8123"


def test_settings_cannot_be_changed_afterwards(tmp_path: Path) -> None:
    settings = load(tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
