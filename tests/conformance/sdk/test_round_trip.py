# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge sees what a model loses, in each family of models."""

from __future__ import annotations

from typing import Any

import pytest
from azure.mgmt.postgresqlflexibleservers import models as hybrid
from azure.mgmt.rdbms.postgresql import models as msrest
from msgraph.generated.models.application import Application
from msgraph.generated.models.web_application import WebApplication
from sdk_driver.round_trip import problems, unknown_to_kiota

WHOLE = {"location": "eastus", "properties": {"version": "15"}}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (WHOLE, []),
        ({**WHOLE, "colour": None}, []),
        ({**WHOLE, "colour": "red"}, [".colour is lost"]),
        ({**WHOLE, "properties": {"version": "15", "colour": "red"}}, [".properties.colour is lost"]),
        ({"properties": {"version": "15"}}, [".location is required"]),
    ],
)
def test_msrest_and_hybrid_models(answer: dict[str, Any], expected: list[str]) -> None:
    assert problems(answer, msrest.Server.deserialize(answer)) == expected
    assert problems(answer, hybrid.Server(answer)) == expected


def test_rows() -> None:
    rows = [WHOLE, {**WHOLE, "colour": "red"}]
    assert problems(rows, [hybrid.Server(row) for row in rows]) == ["[1].colour is lost"]
    assert problems(rows, [hybrid.Server(WHOLE)]) == ["2 rows became 1"]


def test_answers_without_a_model() -> None:
    assert problems(None, None) == []
    assert problems({"a": 1}, {"a": 1}) == ["dict is no model"]


def test_kiota_models() -> None:
    made = Application(web=WebApplication())
    made.additional_data = {"@odata.context": "x"}
    assert list(unknown_to_kiota(made)) == []
    assert made.web is not None
    made.web.additional_data = {"colour": "red"}
    assert list(unknown_to_kiota(made)) == [".web.colour is lost"]
