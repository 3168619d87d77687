"""The figures for Prometheus, as its own parser reads them."""

from __future__ import annotations

from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

Figures = dict[tuple[str, str], float]


def read(answer: TestResponse) -> Figures:
    """The figures by name (without the prefix) and label value, as Prometheus' own parser reads them."""
    assert answer.status_code == 200
    found: Figures = {}
    for family in text_string_to_metric_families(answer.get_data(as_text=True)):
        assert family.documentation
        for sample in family.samples:
            assert sample.name.startswith("access_automation_")
            label = next(iter(sample.labels.values()), "")
            found[sample.name.removeprefix("access_automation_"), label] = sample.value
    return found


def ask(app: Flask, **how: object) -> TestResponse:
    return app.test_client().get("/metrics", **how)


def figures(app: Flask) -> Figures:
    return read(ask(app))
