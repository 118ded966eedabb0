# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._copy import catalog, choice, programs, rows, stream
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure
from ansible_collections.pgflex.migrate.plugins.module_utils._postgres import Server


def table(oid, name, parents=(), **values):
    known = {"size": 1, "pages": 1, "readable": True, "hidden_rows": False, "owned": True, "parents": parents}
    known |= {"kind": "r", "persistence": "p", "identity": "d", "has_key": True, "unique_index": None, **values}
    return catalog.Table(oid=oid, schema="m", name=name, **known)


@pytest.mark.parametrize(
    ("majors", "source", "target", "chosen"),
    [
        ((15, 16, 18), 12, 16, 16),
        ((15, 18), 12, 16, 15),
        ((18,), 12, 16, None),
        ((15,), 16, 16, None),
        ((17,), 15, 18, 17),
        ((16,), 15, 18, 16),
        ((), 15, 15, None),
    ],
)
def test_programs_of_the_targets_version_else_those_that_suit(majors, source, target, chosen):
    found = programs.choose([programs.Programs(None, major) for major in majors], source, target)
    assert (found.major if found else None) == chosen


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ERROR:  could not extend file: No space left on device", "DiskFull"),
        ('ERROR: invalid byte sequence for encoding "UTF8": 0xe9', "InvalidEncoding"),
        ("pg_dump: error: query failed: ERROR:  permission denied for table t", "PermissionDenied"),
        ("server closed the connection unexpectedly", "ConnectionLost"),
        ("something else", "CopyFailed"),
    ],
)
def test_words_of_programs_have_a_meaning(text, code):
    assert programs.fault_code(text) == code


def test_contents_of_a_dump():
    listing = ";\n; Archive\n215; 1259 16385 TABLE m orders mover\n3; 0 0 COMMENT - EXTENSION hstore \n"
    entries = programs.parse_contents(listing)
    assert [(entry.catalog, entry.oid) for entry in entries] == [(1259, 16385), (0, 0)]
    assert entries[0].is_kind("TABLE") and not entries[0].is_kind("TABLE DATA")


def test_a_password_is_in_no_variable(tmp_path):
    server = Server("source", "h", "u", password="a:b")
    with programs.password_file(server) as (path, handles):
        values = programs.environment(server, "shop", path)
        assert handles and "a:b" not in str(values) and values["PGDATABASE"] == "shop"
        assert Path(path).read_text() == "*:*:*:*:a\\:b\n"


def test_partitions_go_with_their_root():
    tables = [table(1, "root", kind="p"), table(2, "part", (1,)), table(3, "other")]
    chosen = choice.choose(choice.Choice(include_tables=("m.root",)), ["m"], tables)
    assert [found.name for found in chosen.tables] == ["root", "part"]
    chosen = choice.choose(choice.Choice(exclude_tables=("m.part",)), ["m"], tables)
    assert [found.name for found in chosen.left_out] == ["part"]
    chosen = choice.choose(choice.Choice(exclude_schemas=("m*",)), ["m", "n"], tables)
    assert chosen.tables == () and chosen.schemas_left_out == ("m",)


def test_patterns_have_to_match_in_one_of_the_databases():
    found = {"a": (["m"], [table(1, "t")]), "b": (["n"], [])}
    choice.check_patterns(choice.Choice(include_schemas=("n",), exclude_tables=("m.*",)), found)
    with pytest.raises(ModuleFailure, match=r"include_tables m\.x in a, b"):
        choice.check_patterns(choice.Choice(include_tables=("m.x",)), found)


@pytest.mark.parametrize(
    ("version", "column"), [(90500, "NULL::text"), (150000, "d.daticulocale"), (180000, "d.datlocale")]
)
def test_catalogs_by_version(version, column):
    assert catalog.versioned("SELECT <locale>", version) == f"SELECT {column}".encode()


def test_how_the_other_server_connects():
    server = Server("source", "h", "u", "p", hostaddr="10.0.0.1", sslmode="verify-full", sslrootcert="/mine.pem")
    made = stream.conninfo(server, "shop", None, "label")
    assert "sslmode=require" in made and "mine.pem" not in made and "hostaddr=10.0.0.1" in made
    made = stream.conninfo(server, "shop", {"host": "inside", "sslmode": "verify-full", "port": None}, "label")
    assert "host=inside" in made and "hostaddr" not in made and "sslmode=verify-full" in made


def test_tables_without_a_key_are_widened_and_put_back():
    rows = stream.widened(
        [
            table(1, "keyed"),
            table(2, "bare", has_key=False),
            table(3, "unique", has_key=False, unique_index="u"),
            table(4, "nothing", identity="n"),
            table(5, "unlogged", has_key=False, persistence="u"),
            table(6, "full", identity="f", has_key=False),
        ]
    )
    assert [row[1] for row in rows] == ["bare", "unique", "nothing"]
    assert stream.widen_statements(rows)[1].endswith('REPLICA IDENTITY USING INDEX "u"')
    assert stream.restore_statements(rows)[2].endswith("REPLICA IDENTITY NOTHING")


# (changes confirmed, tables copied, errors of changes, errors of tables), look by look; written is always at 100.
@pytest.mark.parametrize(
    ("looks", "times"),
    [
        ([(10, 2, 0, 0), (10, 2, 2, 0), (10, 2, 3, 0)], 3),
        # Lost connections, after each of which changes came on.
        ([(10, 2, 0, 0), (11, 2, 2, 0), (12, 2, 4, 0), (12, 2, 6, 0)], 0),
        # All has arrived: there is nothing that could be refused.
        ([(100, 2, 0, 0), (100, 2, 9, 0)], 0),
        # Changes come on, a table does not; a lost connection stops two at once.
        ([(10, 2, 0, 0), (11, 2, 0, 5), (12, 2, 0, 6)], 6),
        ([(10, 2, 0, 0), (11, 3, 0, 5), (12, 3, 0, 9)], 0),
        # What was counted before the first look says nothing.
        ([(10, 2, 40, 30)], 0),
    ],
)
def test_errors_count_while_nothing_comes_on(looks, times):
    seen: list[int] = []
    found = 0
    for confirmed, copied, apply_errors, sync_errors in looks:
        state = stream.SubscriptionState(1, True, 0, 2, copied, 5, apply_errors, sync_errors, 2)
        found = stream.refused(state, confirmed, 100, seen)
    assert found == times


def test_small_tables_share_a_pair_of_programs():
    found = [rows.Piece(n, "m", str(n), ("a",), size) for n, size in enumerate([64 << 20, 1, 1])]
    assert [len(batch) for batch in rows.batches(found)] == [1, 2]
    assert len(rows.batches([rows.Piece(n, "m", "t", (), 0) for n in range(250)])) == 3


def test_a_script_quotes_names():
    lines = rows.Piece(1, "it's", 'a"b\\', ("x y",), 0).script()
    assert lines[0].startswith('\\echo \'BEGIN; TRUNCATE ONLY "it\'\'s"."a""b\\\\";')
    assert lines[1] == 'COPY "it\'s"."a""b\\" ("x y") TO STDOUT;'
