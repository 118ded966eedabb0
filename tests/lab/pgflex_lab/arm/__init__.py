# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure Resource Manager: ids, requests, the store, operations, the router."""
