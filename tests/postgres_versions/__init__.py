# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL servers of several major versions for the tests; README.md says how to use them."""
