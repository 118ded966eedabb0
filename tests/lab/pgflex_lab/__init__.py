# SPDX-License-Identifier: GPL-3.0-or-later
"""A stateful stand-in for Azure on loopback, in front of real PostgreSQL servers."""
