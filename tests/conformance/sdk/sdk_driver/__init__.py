# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a client's own environment, in any of its versions; nothing but the official SDKs is imported."""
