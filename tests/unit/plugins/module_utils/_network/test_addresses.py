# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure
from ansible_collections.pgflex.migrate.plugins.module_utils._network.addresses import (
    contains,
    network,
    next_free,
    overlapping,
    usable,
)


def test_overlapping_spaces_are_named_in_pairs() -> None:
    assert overlapping(["10.0.0.0/16", "10.9.0.0/24"], ["10.0.4.0/24", "10.9.0.0/16", "192.168.0.0/24"]) == [
        ("10.0.0.0/16", "10.0.4.0/24"),
        ("10.9.0.0/24", "10.9.0.0/16"),
    ]
    assert overlapping(["10.0.0.0/24"], ["10.0.1.0/24", "fd00::/48"]) == []


@pytest.mark.parametrize(
    ("space", "taken", "length", "expected"),
    [
        (["10.0.0.0/24"], [], 27, "10.0.0.0/27"),
        (["10.0.0.0/24"], ["10.0.0.0/27"], 27, "10.0.0.32/27"),
        # A small block in the way: the next one begins at a multiple of its own size.
        (["10.0.0.0/24"], ["10.0.0.0/28"], 27, "10.0.0.32/27"),
        # A gap between two taken ones, given in any order.
        (["10.0.0.0/24"], ["10.0.0.64/26", "10.0.0.0/27"], 27, "10.0.0.32/27"),
        (["10.0.0.0/24"], ["10.0.0.0/25", "10.0.0.128/25"], 27, None),
        (["10.0.0.0/24"], ["10.0.0.16/28"], 25, "10.0.0.128/25"),
        # The second prefix of the space when the first one is full or too small.
        (["10.0.0.0/28", "10.1.0.0/24"], [], 27, "10.1.0.0/27"),
        (["10.0.0.0/24", "10.1.0.0/24"], ["10.0.0.0/24"], 27, "10.1.0.0/27"),
        # Larger than the space, and blocks of IPv6, are in nobody's way.
        (["10.0.0.0/24"], ["10.0.0.0/8"], 27, None),
        (["fd00::/48", "10.0.0.0/24"], ["fd00::/64"], 27, "10.0.0.0/27"),
        (["fd00::/48"], [], 27, None),
        (["10.0.0.0/16"], ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/26"], 24, "10.0.3.0/24"),
    ],
)
def test_next_free(space: list[str], taken: list[str], length: int, expected: str | None) -> None:
    found = next_free(space, taken, length)
    assert found == expected
    if found:
        assert not overlapping([found], taken) and contains(space, found)


def test_azure_keeps_five_addresses_of_a_subnet() -> None:
    assert [usable(prefix) for prefix in ("10.0.0.0/24", "10.0.0.0/27", "10.0.0.0/29", "10.0.0.0/31")] == [
        251,
        27,
        3,
        0,
    ]


def test_contains() -> None:
    assert contains(["10.1.0.0/16", "10.0.0.0/16"], "10.0.4.0/24")
    assert not contains(["10.0.0.0/24"], "10.0.0.0/16")
    assert contains(["fd00::/48"], "fd00::/64") and not contains(["10.0.0.0/8"], "fd00::/64")


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.1/24", "10.0.0.0/33", "ten", ""])
def test_what_is_no_prefix_is_refused_with_the_options_name(text: str) -> None:
    with pytest.raises(ModuleFailure, match=r"^address_prefix is not an address prefix") as caught:
        network(text)
    assert caught.value.code == "InvalidAddressPrefix"
