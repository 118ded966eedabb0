# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._source import activity, read_only


def session(pid=1, database="shop", writing=False, application="app", superuser=False):
    return activity.ClientSession(database, pid, "u", application, None, writing, superuser)


def sample(rows, *sessions, vacuumed=(), subscribing=(), established=None):
    counted = {} if established is None else {"shop": established}
    return activity.Sample({"shop": rows}, sessions, counted, frozenset(vacuumed), frozenset(subscribing))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (sample(5), sample(5), []),
        (sample(5, session()), sample(5, session()), []),
        (sample(5), sample(9), [4]),
        (sample(5, session()), sample(9, session()), [4]),
        (sample(5, session(writing=True)), sample(5), [0]),
        (sample(5), sample(5, session(writing=True)), [0]),
        (sample(5, vacuumed=["shop"]), sample(9), []),
        (sample(5, session(), vacuumed=["shop"]), sample(9), [4]),
        (sample(5, vacuumed=["other"]), sample(9), [4]),
        # Since version 14 the server counts sessions: with none, now or in between, it was the server itself.
        (sample(5, established=7), sample(9, established=7), []),
        (sample(5, established=7), sample(9, established=8), [4]),
        (sample(5, session(), established=7), sample(9, established=7), [4]),
        (sample(5, established=7, subscribing=["shop"]), sample(9, established=7), [4]),
        (sample(5, session(database="other", writing=True)), sample(5), []),
        # The statistics were reset in between.
        (sample(9), sample(0), []),
    ],
)
def test_writers_are_told_by_what_they_leave(before, after, expected):
    assert [writer.rows for writer in activity.judge(before, after, ["shop"])] == expected


def test_writers_in_words():
    found = list(activity.judge(sample(1, session(application="till")), sample(4), ["shop"]))
    assert activity.who(found) == "shop (3 rows by till)"
    assert found[0].as_result()["sessions"][0]["application_name"] == "till"


def test_old_versions_are_not_asked_for_new_columns():
    assert "backend_type" not in activity.sessions_sql(90600) and "backend_type" in activity.sessions_sql(100000)


@pytest.mark.parametrize(
    ("one", "locked", "superuser", "ended"),
    [
        (session(), (), False, True),
        (session(), ("shop",), False, False),
        (session(writing=True), ("shop",), False, True),
        (session(application="backup 1"), (), False, False),
        (session(superuser=True), (), False, False),
        (session(superuser=True), (), True, True),
    ],
)
def test_which_sessions_are_ended(one, locked, superuser, ended):
    found = read_only.split([one], frozenset(locked), ["backup*"], superuser=superuser)
    assert (one in found.end) is ended


@pytest.mark.parametrize(
    ("rows", "expected", "closed", "exempt"),
    [
        ([("a", None, None, None)], False, (), ()),
        ([("a", 0, None, ["default_transaction_read_only=on"])], True, (), ()),
        ([("a", 0, None, ["default_transaction_read_only=oN"])], True, ("a",), ()),
        ([("a", 0, None, ["work_mem=1MB", "default_transaction_read_only=off"])], False, (), ()),
        ([("a", 0, None, ["default_transaction_read_only=TRUE"]), ("a", 7, "u", ["work_mem=1MB"])], True, (), ()),
        ([("a", 7, "u", ["default_transaction_read_only=off"])], False, (), ("u",)),
        ([("a", 7, "u", ["default_transaction_read_only=on"])], False, (), ()),
    ],
)
def test_settings_of_databases_and_roles(rows, expected, closed, exempt):
    assert read_only.parse_settings(rows) == read_only.Settings({"a": expected}, frozenset(closed), exempt)
