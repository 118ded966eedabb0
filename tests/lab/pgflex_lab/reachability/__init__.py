# SPDX-License-Identifier: GPL-3.0-or-later
"""Can what migrates reach both servers by name? The only place that knows where things are in networks."""

from pgflex_lab.reachability.dns_servers import DnsServer
from pgflex_lab.reachability.model import Reachability
from pgflex_lab.reachability.places import Journey

__all__ = ["DnsServer", "Journey", "Reachability"]
