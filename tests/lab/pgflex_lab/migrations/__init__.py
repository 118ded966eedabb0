# SPDX-License-Identifier: GPL-3.0-or-later
"""The migration service: its resource, its states, and the copying itself."""
