# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that lays a survey's answers over the settings of a host, and a credential under them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.pgflex.migrate.plugins.filter.answers import FilterModule

answers = FilterModule().filters()["answers"]

HOST: dict[str, Any] = {
    "mode": "online",
    "databases": ["shop"],
    "source": {"name": "a", "password": "own"},
    "cutover": {"trigger": "manual", "max_latency": 5},
}


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({}, {}),
        ({"pgflex__overwrite": "yes"}, {"overwrite": True}),
        ({"pgflex__overwrite": "no"}, {"overwrite": False}),
        ({"pgflex__overwrite": "as in the inventory", "pgflex__mode": ""}, {}),
        ({"pgflex__mode": None, "pgflex__databases": []}, {}),
        ({"pgflex__cutover__trigger": "automatic"}, {"cutover": {"trigger": "automatic", "max_latency": 5}}),
        ({"pgflex__cutover__max_latency": 0}, {"cutover": {"trigger": "manual", "max_latency": 0}}),
        ({"pgflex__preflight__remedies": ["timeouts"]}, {"preflight": {"remedies": ["timeouts"]}}),
        ({"pgflex__mode__x": 1}, {"mode": {"x": 1}}),
    ],
)
def test_answers_go_over_the_settings(given: dict[str, Any], changed: dict[str, Any]) -> None:
    before = {**HOST, "cutover": dict(HOST["cutover"])}
    assert answers(before, given) == {**HOST, **changed}
    assert before == HOST


def test_the_credential_goes_under_the_settings() -> None:
    credential = {"source": {"user": "u", "password": "p"}, "target": {"password": "q"}, "subscription_id": ""}
    found = answers(HOST, {}, credential)
    assert found["source"] == {"name": "a", "password": "own", "user": "u"}
    assert found["target"] == {"password": "q"}
    # A setting that is there and empty is not the same for a role as one that is left out.
    assert "subscription_id" not in found
    assert answers({}, {}, {"app": {"client_id": "", "client_secret": ""}}) == {}
    assert answers({"source": {"password": ""}}, {}, credential)["source"]["password"] == "p"
    assert answers({"source": {"password": None}}, {}, credential)["source"]["password"] == "p"
    assert answers({"source": {}}, {"pgflex__source__password": "asked"}, credential)["source"]["password"] == "asked"


def test_values_stay_the_objects_that_they_are() -> None:
    """A mark that says that a text is not to be evaluated would be lost with a copy."""

    class Marked(str):
        pass

    password, name = Marked("{{ x }}"), Marked("{{ y }}")
    found = answers({"source": {"password": password}}, {"pgflex__source__name": name})
    assert found["source"]["password"] is password and found["source"]["name"] is name


@pytest.mark.parametrize("name", ["pgflex__", "pgflex__a____b", "other"])
def test_what_names_no_setting_is_refused(name: str) -> None:
    with pytest.raises(AnsibleFilterError, match="names no setting"):
        answers(HOST, {name: "x"})


@pytest.mark.parametrize("wrong", [("text", {}), (HOST, []), (HOST, {}, "text")])
def test_only_mappings_are_taken(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(AnsibleFilterError, match="mappings"):
        answers(*wrong)
