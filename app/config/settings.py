"""The settings: read once from the environment and `.env`, checked, and frozen."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import make_url

from app.config import checks, files
from app.config.checks import SettingsError

DEFAULT_ENV_FILE = ".env"
EMBEDDED_DATABASE_FILE = "console.sqlite3"
EMBEDDED_REDIS_SOCKET = "redis.sock"
# Linux allows 107 bytes in the path of a Unix socket, macOS 103.
LONGEST_SOCKET_PATH = 100
SHORTEST_PRODUCTION_SECRET = 16
# What printing the settings shows. A list of what is safe, so that a new secret is hidden from its first day.
SHOWN = ("app_env", "data_dir", "port", "worker_concurrency", "lease_seconds", "sweep_seconds", "log_format")


def _whole_number(low: int, high: int) -> BeforeValidator:
    def check(value: object, info: ValidationInfo) -> int:
        return checks.whole_number(checks.name_of(info), value, low, high)

    return BeforeValidator(check)


def _one_of(*words: str) -> BeforeValidator:
    def check(value: object, info: ValidationInfo) -> str:
        return checks.one_of(checks.name_of(info), value, words)

    return BeforeValidator(check)


def _flag(value: object, info: ValidationInfo) -> bool:
    return checks.flag(checks.name_of(info), value)


class Settings(BaseSettings):
    """Every setting under its lower-case name; `load_settings` makes it and fills in what has no default.

    The values that are secret, or may hold a password (URLs), never appear in `repr`.
    """

    # A validation error of pydantic's own must not quote what was typed: it may be a secret.
    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    app_env: Annotated[Literal["development", "production"], _one_of("development", "production")] = (
        "development"
    )
    data_dir: Path = Path("instance")
    port: Annotated[int, _whole_number(1, 65535)] = 8000
    database_url: str = ""
    redis_url: str = ""
    secret_key: str = ""
    credential_keys: tuple[str, ...] = ()
    allow_sqlite: Annotated[bool, BeforeValidator(_flag)] = False
    # What `make run` does with it is the supervisor's matter; production refuses it.
    demo_data: Annotated[bool, BeforeValidator(_flag)] = Field(
        default_factory=lambda data: data.get("app_env") == "development"
    )
    egress_allow: tuple[str, ...] = ()
    public_url: str = ""
    worker_concurrency: Annotated[int, _whole_number(1, 512)] = 32
    lease_seconds: Annotated[int, _whole_number(5, 300)] = 15
    sweep_seconds: Annotated[int, _whole_number(1, 60)] = 5
    session_hours: Annotated[int, _whole_number(1, 720)] = 12
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_trust_email: Annotated[bool, BeforeValidator(_flag)] = False
    oidc_groups_claim: str = "groups"
    oidc_group_roles: tuple[tuple[str, str], ...] = ()
    smtp_url: str = ""
    alert_webhook_url: str = ""
    alert_webhook_secret: str = ""
    log_format: Annotated[Literal["text", "json"], _one_of("text", "json")] = "text"
    time_zone: str = "UTC"
    # These two are not for people: `make run` hands them to the command that makes the demo data.
    demo_scim_url: str = ""
    demo_scim_token: str = ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` hands over counts: a test sees the environment it gives and no other."""
        return (init_settings,)

    @field_validator("data_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        folder = value.expanduser().resolve()
        if set("?#%") & set(str(folder)):
            raise SettingsError(
                "DATA_DIR", "holds ?, # or %, which URLs cannot; it should be a plain folder name"
            )
        return folder

    @field_validator("database_url", mode="after")
    @classmethod
    def _database_url(cls, value: str) -> str:
        return checks.database_url("DATABASE_URL", value) if value else ""

    @field_validator("redis_url", mode="after")
    @classmethod
    def _redis_url(cls, value: str) -> str:
        return checks.redis_url("REDIS_URL", value) if value else ""

    @field_validator("credential_keys", mode="before")
    @classmethod
    def _credential_keys(cls, value: object) -> tuple[str, ...]:
        return checks.fernet_keys("CREDENTIAL_KEYS", checks.split(value))

    @field_validator("egress_allow", mode="before")
    @classmethod
    def _egress_allow(cls, value: object, info: ValidationInfo) -> tuple[str, ...]:
        production = info.data.get("app_env") == "production"
        return checks.egress_entries("EGRESS_ALLOW", checks.split(value), production=production)

    @field_validator("oidc_group_roles", mode="before")
    @classmethod
    def _group_roles(cls, value: object) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, str):
            return ()
        return checks.group_roles("OIDC_GROUP_ROLES", value)

    @field_validator("smtp_url", mode="after")
    @classmethod
    def _smtp_url(cls, value: str) -> str:
        return checks.smtp_url("SMTP_URL", value) if value else ""

    @field_validator("alert_webhook_secret", mode="after")
    @classmethod
    def _alert_webhook_secret(cls, value: str) -> str:
        return checks.signing_secrets("ALERT_WEBHOOK_SECRET", value) if value else ""

    @field_validator("time_zone", mode="after")
    @classmethod
    def _time_zone(cls, value: str) -> str:
        return checks.time_zone("TIME_ZONE", value)

    @field_validator("public_url", "oidc_issuer", "alert_webhook_url", mode="after")
    @classmethod
    def _plain_url(cls, value: str, info: ValidationInfo) -> str:
        if not value:
            return ""
        url = checks.url(checks.name_of(info), value, ("http", "https"))
        return checks.issuer("OIDC_ISSUER", url) if info.field_name == "oidc_issuer" else url

    @model_validator(mode="after")
    def _together(self) -> Settings:
        checks.single_sign_on(
            {
                "OIDC_ISSUER": self.oidc_issuer,
                "OIDC_CLIENT_ID": self.oidc_client_id,
                "OIDC_CLIENT_SECRET": self.oidc_client_secret,
            },
            {"OIDC_GROUP_ROLES": self.oidc_group_roles, "OIDC_TRUST_EMAIL": self.oidc_trust_email},
        )
        if self.alert_webhook_secret and not self.alert_webhook_url:
            raise SettingsError(
                "ALERT_WEBHOOK_SECRET", "is set, but ALERT_WEBHOOK_URL, whose calls it signs, is not"
            )
        if self.app_env == "production":
            self._check_production()
        return self

    def _check_production(self) -> None:
        if not self.secret_key:
            raise SettingsError("SECRET_KEY", "is not set; production needs a long random value of your own")
        if len(self.secret_key) < SHORTEST_PRODUCTION_SECRET:
            raise SettingsError(
                "SECRET_KEY",
                f"is too short; production needs {SHORTEST_PRODUCTION_SECRET} or more random characters",
            )
        if not self.credential_keys:
            raise SettingsError(
                "CREDENTIAL_KEYS",
                "is not set; production needs at least one Fernet key, newest first, comma separated",
            )
        if not self.allow_sqlite and (
            not self.database_url or make_url(self.database_url).drivername == "sqlite"
        ):
            raise SettingsError(
                "DATABASE_URL",
                "is SQLite; production needs a postgresql:// URL, or ALLOW_SQLITE=1 for a small console",
            )
        if not self.redis_url:
            raise SettingsError(
                "REDIS_URL",
                "is not set; the embedded Redis is for trying out, production needs a server of its own",
            )
        if self.demo_data:
            raise SettingsError(
                "DEMO_DATA", "is on; production never has demo data, set it to 0 or remove it"
            )

    @property
    def is_production(self) -> bool:
        """Whether APP_ENV is production."""
        return self.app_env == "production"

    @property
    def is_embedded_database(self) -> bool:
        """Whether the database is the SQLite file that lives in DATA_DIR."""
        return self.database_url == _embedded_database_url(self.data_dir)

    @property
    def redis_socket(self) -> Path | None:
        """The Unix socket of Redis, or None when it is reached by host and port."""
        parts = urlsplit(self.redis_url)
        return Path(parts.path) if parts.scheme == "unix" else None

    @property
    def is_embedded_redis(self) -> bool:
        """Whether Redis is the server that `make run` starts in DATA_DIR."""
        return self.redis_socket is not None and self.redis_socket == _socket_path(self.data_dir)

    @property
    def base_url(self) -> str:
        """What links in messages begin with: PUBLIC_URL, else this host's own address."""
        return self.public_url or f"http://127.0.0.1:{self.port}"

    def own_endpoints(self) -> list[tuple[str, int]]:
        """Host and port of the console's own database, Redis and web: a connection may never reach these."""
        found = checks.database_endpoints(self.database_url)
        redis = urlsplit(self.redis_url)
        if redis.scheme in ("redis", "rediss"):
            found.append((redis.hostname or "localhost", redis.port or 6379))
        found += [("127.0.0.1", self.port), ("::1", self.port)]
        if self.public_url:
            public = urlsplit(self.public_url)
            found.append((public.hostname or "", public.port or (443 if public.scheme == "https" else 80)))
        return list(dict.fromkeys(found))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!s}" for name in SHOWN)
        return f"Settings({shown}, the rest hidden)"

    __str__ = __repr__


NAMES = frozenset(name.upper() for name in Settings.model_fields)
# Handed from `make run` to its own children; not documented as settings.
INTERNAL_NAMES = frozenset({"DEMO_SCIM_URL", "DEMO_SCIM_TOKEN"})


def load_settings(
    environ: Mapping[str, str] | None = None, env_file: str | Path | None = DEFAULT_ENV_FILE
) -> Settings:
    """Read the settings from `environ` (default: the process's own) over those of `env_file`, if it exists.

    ENV_FILE in `environ` names another file than `.env`, or none when it is empty: a console that is
    started beside another must not read its file. An empty value counts as not set; names that are no
    settings are ignored. What has no value is made: the embedded SQLite file and Redis socket in
    DATA_DIR, and keys that are made once and kept there.
    Raises SettingsError, whose text is one line that names the setting and holds no secret.
    """
    environ = os.environ if environ is None else environ
    if env_file == DEFAULT_ENV_FILE:
        env_file = environ.get("ENV_FILE", DEFAULT_ENV_FILE) or None
    given = {**_from_file(env_file), **environ}
    values = {name.lower(): given[name].strip() for name in NAMES if given.get(name, "").strip()}
    settings = Settings(**values)  # type: ignore[arg-type]  # the validators above turn text into values
    try:
        return settings.model_copy(update=_made(settings))
    except OSError as error:
        reason = error.strerror or "cannot be used"
        raise SettingsError(
            "DATA_DIR", f"cannot be written ({reason}); it should be a folder of your own"
        ) from None


def _from_file(env_file: str | Path | None) -> dict[str, str]:
    if env_file is None or not Path(env_file).is_file():
        return {}
    try:
        # Interpolation is off: a `$` in a password is a `$`.
        found = dotenv_values(env_file, interpolate=False)
    except (OSError, UnicodeDecodeError):
        raise SettingsError(
            str(env_file), "cannot be read; it should be a text file of NAME=value lines"
        ) from None
    return {name: value for name, value in found.items() if value is not None}


def _made(settings: Settings) -> dict[str, object]:
    made: dict[str, object] = {}
    if not settings.secret_key:
        made["secret_key"] = files.read_or_make(settings.data_dir / "secret-key", _new_secret)
    if not settings.credential_keys:
        kept = files.read_or_make(settings.data_dir / "credential-keys", checks.new_fernet_key)
        made["credential_keys"] = checks.fernet_keys("CREDENTIAL_KEYS", checks.split(kept))
    if not settings.database_url:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        made["database_url"] = _embedded_database_url(settings.data_dir)
    if not settings.redis_url:
        socket = _socket_path(settings.data_dir)
        checks.own_folder("DATA_DIR", socket.parent)
        made["redis_url"] = f"unix://{socket}"
    return made


def _new_secret() -> str:
    return secrets.token_urlsafe(48)


def _embedded_database_url(data_dir: Path) -> str:
    return f"sqlite:///{data_dir / EMBEDDED_DATABASE_FILE}"


def _socket_path(data_dir: Path) -> Path:
    """Where the embedded Redis listens: in DATA_DIR, or in a short folder when that is too long for one."""
    inside = data_dir / EMBEDDED_REDIS_SOCKET
    if len(os.fsencode(inside)) < LONGEST_SOCKET_PATH:
        return inside
    return checks.short_folder(data_dir) / EMBEDDED_REDIS_SOCKET
