# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches the versions that the tests use, and says where each is; one that cannot be had is no failure here."""

from __future__ import annotations

from .programs import MAJORS, NotHere, installed

for major in MAJORS:
    try:
        print(f"PostgreSQL {major:<3} {installed(major)}")
    except NotHere as reason:
        print(f"PostgreSQL {major:<3} {reason}")
