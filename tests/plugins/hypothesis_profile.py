"""How many examples property tests draw: HYPOTHESIS_PROFILE=dev (the default) or ci."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A busy machine draws slowly, and that is no fault of what is drawn.
SLOW = [HealthCheck.too_slow]
settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=SLOW)
settings.register_profile("ci", max_examples=400, deadline=None, suppress_health_check=SLOW, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
