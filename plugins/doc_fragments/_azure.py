# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Signing in to Azure; the same names as azure.azcollection's.
    DOCUMENTATION = r"""
options:
  subscription_id:
    description:
      - GUID of the subscription that holds the resources.
      - Left out, E(AZURE_SUBSCRIPTION_ID), the profile or the subscription chosen by C(az account set) is used.
    type: str
  tenant:
    description:
      - GUID or domain name of the Entra tenant to sign in to.
      - Left out, E(AZURE_TENANT) or E(AZURE_TENANT_ID) is used.
    type: str
  client_id:
    description:
      - Application (client) id of the service principal to sign in as.
      - With O(auth_source=msi) the client id of a user-assigned managed identity.
      - Left out, E(AZURE_CLIENT_ID) is used.
    type: str
  secret:
    description:
      - Client secret of O(client_id).
      - Left out, E(AZURE_SECRET) or E(AZURE_CLIENT_SECRET) is used.
    type: str
  auth_source:
    description:
      - Where the identity comes from.
      - V(auto), which is also what leaving it out means, takes the first of O(client_id) with O(secret), a named
        O(profile), the environment, the profile C(default) in C(~/.azure/credentials), the account that C(az login)
        signed in.
      - Left out, E(ANSIBLE_AZURE_AUTH_SOURCE) is used.
    type: str
    choices:
      - auto
      - env
      - cli
      - credential_file
      - msi
      - workload_identity
  profile:
    description:
      - Section of C(~/.azure/credentials) to read.
      - Left out, E(AZURE_PROFILE) or else the section C(default) is used.
    type: str
  cloud_environment:
    description:
      - Name of the Azure cloud, C(AzureCloud), C(AzureChinaCloud) or C(AzureUSGovernment), or the C(https://) URL of a
        cloud whose C(/metadata/endpoints) names the rest, such as Azure Stack or this collection's lab.
      - Left out, E(AZURE_CLOUD_ENVIRONMENT) or else C(AzureCloud) is used.
    type: str
requirements:
  - python >= 3.11
  - azure-identity
  - The other packages of the collection's C(requirements.txt)
notes:
  - With a local connection a module runs inside Ansible's worker, see the collection's C(docs/ARCHITECTURE.md); with
    C(become), C(async), another C(ansible_python_interpreter) or a remote connection it runs as an ordinary one.
seealso:
  - name: Sign in with azure.azcollection
    description: The same options, environment variables and files.
    link: https://docs.ansible.com/ansible/latest/scenario_guides/guide_azure.html
"""
