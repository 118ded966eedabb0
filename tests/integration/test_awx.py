# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX does with awx/: builds the image's context, syncs the inventory, and runs jobs with ansible-runner."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from awx_jobs import AWX, Awx, Job, hosts_only, synced
from plays import GROUP, PASSWORD, Pair, Player, make_pair

from pgflex_lab.process import Running

# An application of the lab's that may work on the servers and nothing else.
APP_CLIENT = "22222222-0000-4000-8000-00000000000b"
APP_SECRET = "Lab-Secret~limited"
NOBODYS = "99999999-9999-4999-8999-999999999999"


@pytest.fixture
def awx(player: Player, shared_lab: Running) -> Awx:
    lab = shared_lab.environment()
    fields = {
        "source_password": PASSWORD,
        "target_password": PASSWORD,
        "subscription": lab["AZURE_SUBSCRIPTION_ID"],
        "tenant": lab["AZURE_TENANT"],
        "client": lab["AZURE_CLIENT_ID"],
        "secret": lab["AZURE_SECRET"],
        "app_client": APP_CLIENT,
        "app_tenant": lab["AZURE_TENANT"],
        "app_secret": APP_SECRET,
    }
    return Awx(player, fields, (*player.secrets, lab["AZURE_SECRET"], APP_SECRET))


def without_passwords(pair: Pair, **more: Any) -> dict[str, Any]:
    return pair.host(source={"password": None}, target={"password": None}, **more)


def assert_ran(job: Job) -> None:
    assert (job.status, job.code) == ("successful", 0), job.output
    assert "Traceback" not in job.output
    for event in job.events():
        assert "Traceback" not in event.get("stdout", "")
        if event["event"].startswith("runner_on_"):
            assert event["event_data"]["task"], event
            assert not event["event_data"].get("res", {}).get("exception")
    assert job.of_kind("playbook_on_stats")


def test_a_fleet_is_migrated_and_cut_over_as_the_workflow_does_it(awx: Awx, pair: Pair, shared_lab: Running) -> None:
    other = make_pair(shared_lab, "awx-offline")
    hosts = {
        "shop": without_passwords(pair, generation="classic", cutover={"trigger": "automatic"}),
        "stock": without_passwords(other, mode="offline"),
    }
    inventory = hosts_only(hosts)
    # What the inventory says of the sign-in counts, and the credential has the rest.
    inventory["all"]["vars"]["pgflex_azure"] = {"subscription_id": awx.credential["subscription"]}
    awx.credential["subscription"] = NOBODYS
    answers = {"fleet_parallel": 2, "fleet_per_source": 1, "fleet_per_region": 0}
    answers |= {"pgflex__preflight__remedies": ["replica_identity"], "pgflex__overwrite": "as in the inventory"}
    ran = awx.launch("fleet", inventory, **answers, pgflex__cutover__trigger="manual")
    assert_ran(ran)
    # The answer, and not the inventory, which would have cut over.
    assert "is ready for its cutover" in " ".join(ran.output.split())
    # Both in one round, and mended.
    assert "Round 1: shop, stock" in ran.output and "Round 2" not in ran.output and "NO-GO" not in ran.output
    with pair.source.connect("shop") as connection:
        identity = connection.execute("SELECT relreplident::text FROM pg_class WHERE oid = 'nokey'::regclass")
        assert identity.fetchone() == ("f",)
    status = awx.launch("status", inventory)
    assert_ran(status)
    assert "WaitingForCutoverTrigger" in status.output
    # The settings that the job's first play lays together are no change of anything.
    assert status.recap("changed") == 0
    cut = awx.launch("fleet", inventory, **answers, pgflex__cutover__trigger="manual", cutover_now=True)
    assert_ran(cut)
    assert cut.output.count(': "Migrated."') == 2, cut.output
    awx.player.writes()
    again = awx.launch("cutover", inventory)
    assert_ran(again)
    assert "is offline and has ended well" in " ".join(again.output.split())
    assert (again.recap("changed"), awx.player.writes()) == (0, [])


def test_a_job_that_fails_says_why_and_shows_no_secret(awx: Awx, pair: Pair) -> None:
    inventory = hosts_only({"shop": {**without_passwords(pair), "no_such_setting": 1}})
    failed = awx.launch("migrate", inventory)
    assert (failed.status, failed.code) == ("failed", 2)
    assert "no_such_setting" in failed.output
    unknown = awx.launch("migrate", hosts_only({"shop": {**without_passwords(pair), "mode": "{{ nobody }}"}}))
    assert unknown.code == 2
    assert "'nobody' is undefined" in unknown.output
    assert awx.player.writes() == []


def test_inventory_is_synced_from_a_file_of_pairs(awx: Awx, pair: Pair, tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    folder.mkdir()
    source = folder / "pgflex.servers.yml"
    source.write_text((AWX / "inventory" / "pgflex.servers.yml").read_text())
    row = {
        "host": "shop",
        "source": pair.source.name,
        "source_resource_group": GROUP,
        "source_hostaddr": pair.source.hostaddr,
        "target": pair.target.name,
        "target_resource_group": GROUP,
        "target_hostaddr": pair.target.hostaddr,
        "databases": "shop",
        "wave": "1",
    }
    with (folder / "pairs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    inventory = synced(awx.player, source)
    assert inventory["wave_1"]["hosts"] == ["shop"]
    # Source and target are connected to: the user is from the file, the passwords are from the credential.
    awx.player.writes()
    assert_ran(awx.launch("preflight", inventory, check=True, pgflex__preflight__strict="as in the inventory"))
    assert awx.player.writes() == []


def test_the_example_of_an_inventory_is_one(player: Player) -> None:
    hosts = synced(player, AWX / "inventory" / "pgflex.servers.yml")["_meta"]["hostvars"]
    assert [name["__ansible_unsafe"] for name in hosts["billing"]["pgflex"]["databases"]] == ["billing", "ledger"]
    # A template of the file itself is evaluated in the job, where the credential is.
    assert hosts["shop"]["pgflex"]["source"]["user"] == "pgadmin@{{ pgflex_servers.source.name }}"


def test_ansible_builder_takes_the_execution_environment(tmp_path: Path) -> None:
    context = tmp_path / "context"
    command = [str(Path(sys.executable).with_name("ansible-builder")), "create", "--output-filename", "Containerfile"]
    done = subprocess.run(
        [*command, "-f", str(AWX / "execution-environment.yml"), "-c", str(context)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = (context / "Containerfile").read_text()
    assert "FROM" in text and "postgresql18" in text
    wanted = yaml.safe_load((context / "_build" / "requirements.yml").read_text())
    assert wanted == yaml.safe_load((AWX / "requirements.yml").read_text())


def test_introspection_finds_what_python_needs() -> None:
    """What the build asks the collection for, as ansible-builder does inside the image."""
    command = [
        str(Path(sys.executable).with_name("ansible-builder")),
        "introspect",
        str(AWX.parent / ".build" / "collections"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = yaml.safe_load(done.stdout)["python"]
    wanted = [line for line in (AWX.parent / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert sorted(line.split("  #")[0] for line in found) == sorted(wanted)
