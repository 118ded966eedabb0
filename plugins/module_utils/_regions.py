# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of the regions that there are. Pure."""

from __future__ import annotations

# Only for finding slips of the pen without a request; a newer one is told by the option regions.
_NAMES = """
    australiacentral australiacentral2 australiaeast australiasoutheast austriaeast belgiumcentral brazilsouth
    brazilsoutheast canadacentral canadaeast centralindia centralus chilecentral denmarkeast eastasia eastus eastus2
    francecentral francesouth germanynorth germanywestcentral indonesiacentral israelcentral italynorth japaneast
    japanwest jioindiacentral jioindiawest koreacentral koreasouth malaysiawest mexicocentral newzealandnorth
    northcentralus northeurope norwayeast norwaywest polandcentral qatarcentral southafricanorth southafricawest
    southcentralus southeastasia southindia spaincentral swedencentral swedensouth switzerlandnorth switzerlandwest
    taiwannorth uaecentral uaenorth uksouth ukwest westcentralus westeurope westindia westus westus2 westus3
    chinaeast chinaeast2 chinaeast3 chinanorth chinanorth2 chinanorth3
    usgovarizona usgovtexas usgovvirginia usdodcentral usdodeast
"""
REGIONS = frozenset(_NAMES.split())
