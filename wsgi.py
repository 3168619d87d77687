"""What a web server and the `flask` command load."""

from app import create_app
from app.config.checks import SettingsError

try:
    app = create_app()
except SettingsError as problem:
    raise SystemExit(str(problem)) from None
