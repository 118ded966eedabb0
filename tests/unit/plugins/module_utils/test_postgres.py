# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import builtins

import psycopg
import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils import _postgres as postgres
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure

OPTIONS = {
    "host": "shop-old.postgres.database.azure.com",
    "hostaddr": None,
    "port": 5432,
    "user": "admin@shop-old",
    "password": "Secret-4711",
    "sslmode": "verify-full",
    "sslrootcert": None,
    "connect_timeout": 7,
}
SERVER = postgres.Server.from_options("source", OPTIONS)


def test_options_become_connection_arguments():
    found = SERVER.arguments("shop")
    assert found["user"] == "admin@shop-old" and found["dbname"] == "shop" and found["connect_timeout"] == 7
    assert found["application_name"] == "pgflex.migrate"
    assert "hostaddr" not in found and "sslrootcert" not in found


def test_the_password_is_not_printed_with_the_server():
    assert "Secret-4711" not in repr(SERVER) + str(SERVER)
    assert str(SERVER) == "the source server shop-old.postgres.database.azure.com:5432"


def test_the_option_hides_the_password_only():
    options = postgres.server_connection_spec()["options"]
    assert [name for name, option in options.items() if option.get("no_log")] == ["password"]


AT = 'connection failed: connection to server at "10.1.2.3", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("failed to resolve host 'x': [Errno -2] Name or service not known", "UnknownHost", "source.host"),
        (AT + "Connection refused\n\tIs the server running on that host?", "ConnectionRefused", "source.port"),
        (AT + 'FATAL:  password authentication failed for user "u"', "AuthenticationFailed", "source.password"),
        (AT + "fe_sendauth: no password supplied", "PasswordMissing", "source.password"),
        (AT + "server does not support SSL, but SSL was required", "TlsRefused", "source.sslmode"),
        (
            AT + "FATAL: SSL connection is required. Please specify SSL options and retry.",
            "TlsRequired",
            "source.sslmode",
        ),
        (
            AT + 'no pg_hba.conf entry for host "1.2.3.4", user "u", database "d", no encryption',
            "TlsRequired",
            "sslmode",
        ),
        (
            AT + 'no pg_hba.conf entry for host "1.2.3.4", user "u", database "d", SSL encryption',
            "NotAllowed",
            "firewall",
        ),
        (AT + "SSL error: certificate verify failed", "CertificateRefused", "source.sslrootcert"),
        ('root certificate file "/x" does not exist', "CertificateRefused", "source.sslrootcert"),
        (AT + 'server certificate for "a" does not match host name "b"', "CertificateRefused", "source.host"),
        (AT + 'FATAL:  database "shop" does not exist', "UnknownDatabase", "option databases"),
        (
            AT + "FATAL: Invalid Username specified. It should be in <username@hostname> format.",
            "AuthenticationFailed",
            "name@server",
        ),
        (AT + "FATAL:  sorry, too many clients already", "TooManyConnections", "option jobs"),
        ("connection timeout expired", "ConnectTimeout", "source.connect_timeout"),
        (AT + "FATAL:  the database system is starting up", "NotReady", "Run again"),
        (AT + "something new\nwith more lines", "ConnectionFailed", "something new"),
    ],
)
def test_failed_connections_name_the_option_and_the_way_out(monkeypatch, text, code, words):
    def refuse(**_):
        raise psycopg.OperationalError(text)

    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(ModuleFailure) as caught:
        postgres.connect(SERVER, "shop")
    found = caught.value.as_result()
    assert found["failure"]["code"] == code and words in found["msg"]
    assert "\n" not in found["msg"] and "Secret-4711" not in str(found)
    assert found["msg"].startswith("Failed to connect to the source server shop-old")


def test_a_missing_package_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "psycopg":
            raise ImportError("No module named 'psycopg'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleFailure) as caught:
        postgres.connect(SERVER, "shop")
    assert caught.value.code == "PackageMissing" and "psycopg[binary]" in caught.value.hint


def test_refused_statements_keep_only_the_first_line():
    with pytest.raises(ModuleFailure) as caught, postgres.sql_errors(SERVER, "read rows"):
        raise psycopg.errors.InsufficientPrivilege("permission denied for table t\nDETAIL: Key (id)=(secret)")
    found = caught.value
    assert found.code == "42501" and "secret" not in found.message and "source.user" in found.hint
    assert found.message == f"Failed to read rows on {SERVER}: permission denied for table t (42501)."


@pytest.mark.parametrize(
    ("names", "quoted"),
    [(("a",), '"a"'), (("S a", 'b"c'), '"S a"."b""c"'), (("x;--",), '"x;--"')],
)
def test_identifiers_are_quoted(names, quoted):
    assert postgres.identifier(*names) == quoted
