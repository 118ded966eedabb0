# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._validation import meaning
from ansible_collections.pgflex.migrate.plugins.module_utils._validation.meaning import Definition


def index(*definitions):
    return {(definition.kind, definition.name): definition for definition in definitions}


def view(query, **facts):
    return Definition("relations", "public.v", facts, {"query": query})


def compared(source, target, *, same_major=True):
    return meaning.compare_definitions(source, target, same_major, {"shop": "store"}.get)


@pytest.mark.parametrize(
    ("source", "target", "aspects"),
    [
        (view("SELECT 1"), view(" SELECT\n  1;"), None),
        (view("SELECT 1"), view("SELECT 2"), ["query"]),
        (view("SELECT 1", options="a"), view("SELECT 1", options="b"), ["options"]),
        (view("SELECT 1", options="a"), view("SELECT 1"), ["options"]),
    ],
)
def test_servers_of_one_major_write_alike(source, target, aspects):
    found = compared(index(source), index(target))
    assert found.differing == ({("relations", "public.v"): aspects} if aspects else {}) and not found.questions


def test_servers_of_different_majors_are_asked():
    found = compared(index(view("SELECT t.a FROM t")), index(view("SELECT a FROM t")), same_major=False)
    assert not found.differing
    (question,) = found.questions
    assert question.as_query(question.source) == "SELECT * FROM (SELECT t.a FROM t) AS q"


def test_an_expression_that_one_side_lacks_needs_no_question():
    source, target = (Definition("columns", "t.a", {}, parts, "t") for parts in ({"default": "1"}, {}))
    found = compared(index(source), index(target), same_major=False)
    assert found.differing == {("columns", "t.a"): ["default"]} and not found.questions


@pytest.mark.parametrize(
    ("aspect", "query"), [("default", "SELECT (a, b) FROM t"), ("expressions", "SELECT a, b FROM t")]
)
def test_expressions_are_asked_with_what_their_columns_come_from(aspect, query):
    question = meaning.Question("indexes", "i", aspect, "a, b", "b, a", "t")
    assert question.as_query("a, b") == query


def test_objects_of_one_side_are_left_to_the_comparison_of_names_but_comments_are_not():
    note = Definition("comments", "table public.t", {"text": "1"})
    assert not compared(index(view("SELECT 1")), {}).differing
    found = compared(index(note), index(Definition("comments", "table public.u", {"text": "1"})))
    assert found.differing == {
        ("comments", "table public.t"): ["missing on the target"],
        ("comments", "table public.u"): ["only on the target"],
    }


def test_roles_of_a_policy_have_the_targets_names():
    ours, theirs = (Definition("policies", "t.p", {"roles": [name]}) for name in ("shop", "store"))
    assert not compared(index(ours), index(theirs)).differing


def column(**parts):
    return Definition("columns", "public.v.a", parts, {}, "public.v", "public.v")


@pytest.mark.parametrize(("relations", "differs"), [(2, True), (1, False)])
def test_a_column_of_which_one_side_has_nothing_to_say(relations, differs):
    source, target = index(view("SELECT 1"), column(type="int")), index(*[view("SELECT 1")][: relations - 1])
    assert (("columns", "public.v.a") in compared(source, target).differing) is differs


@pytest.mark.parametrize(
    ("source", "target", "differs"),
    [("WHERE (t.id = 1)", "WHERE id = 1", False), ("WHERE (old.id = 1)", "WHERE (old.id = 2)", True)],
)
def test_statements_that_can_not_be_planned_are_compared_without_what_majors_leave_out(source, target, differs):
    ours, theirs = (Definition("rules", "t.r", {}, {"statement": text}, "-") for text in (source, target))
    found = compared(index(ours), index(theirs), same_major=False)
    assert bool(found.differing) is differs and not found.questions
