# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from conformance_table import Judgments, table, tried


def test_operations_are_counted_once_and_a_failure_stays() -> None:
    found = Judgments()
    with tried("az", "2.91.0", "login", found):
        pass
    with pytest.raises(AssertionError), tried("az", "2.91.0", "show", found):
        raise AssertionError
    with tried("az", "2.91.0", "show", found):
        pass

    assert found.rows() == [("az", "2.91.0", "2", "1"), ("all", "", "2", "1")]
    assert found.failed() == ["az 2.91.0: show"]


def test_the_table_is_aligned() -> None:
    assert table([("az", "2.91.0", "12", "9")]) == [
        "client  version  operations tried  passed",
        "------  -------  ----------------  ------",
        "az      2.91.0                 12       9",
    ]
