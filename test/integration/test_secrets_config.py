# SPDX-License-Identifier: ISC
"""A mistake in a file is told with its place, and without a secret that stands near it: by --check-config, at the start, by
RELOAD and in the log, at the highest verbosity."""
import psycopg
import pytest
from conftest import ADMIN, Unprivileged, password_of
from test_config import ask
from test_secrets import LOUD
from test_tls import client_side

# Lines that are wrong, by the section in which they stand. A password may be anywhere, also where none belongs; a
# wrong value of something that is no secret may be told.
WRONG = {
    "databases": [
        "x = host=x password=hush-hush port=abc", "x = host=x port=99999 password='hush-hush'",
        "x = host=x password=a hush-hush",
        "x = host=x password='hush-hush", "x = host=x password='hush-hush' pool_mode=sesion", "x = host=x hush-hush",
        "x = host=x user=u password=hush-hush=x=y pasword=hush-hush", "x = password:hush-hush", "x = 'hush-hush",
        "x = postgres://u:hush-hush@host/db", "x = host=x password = 'hush'-hush-hush' x",
        "x = host=x password=a 'hush-hush'",
        "x = host=x auth_query='SELECT ''hush-hush", "x = host=x password='hush-hush' server_tls_sslmode=verify-ful",
        "x = host=x password=hush-hush server_tls_key_passphrase_command='echo hush-hush", "x = password='hush-hush' =y",
        "x = host=x password=hush-hush host='", "x host=x password=hush-hush", "host=x,password=hush-hush",
        "x = host=x password=hush-hush server_tls_ca_file=/nowhere server_tls_sslmode=verify-ca",
    ],
    "users": [
        "x = password=hush-hush", "x = hush-hush", "x = 'hush-hush", "x = pool_mode=session password=hush-hush",
        "x = pool_mode=session hush-hush", "x = secret='hush-hush' pool_mode=session", "x = md5=hush-hush", "x hush-hush",
        "x = pool_mode=session password='hush-hush", "x = password='hush-hush' pool_mode=sesion", '"x" "hush-hush"',
    ],
    "peers": [
        "1 = host=x password=hush-hush", "1 = hush-hush", "1 = host='hush-hush", "1 = host=x hush-hush", "1 hush-hush",
        "1 = postgres://u:hush-hush@x", "1 = host=x port=0 password=hush-hush", "x = host=x password=hush-hush",
    ],
    "tls": [
        "x = cert_file=/nowhere key_file=/nowhere key_passphrase_command='echo hush-hush'", "x = hush-hush", "x hush-hush",
        "x = key_passphrase_command='echo hush-hush", "x = passphrase=hush-hush", "x = cert_file=/nowhere hush-hush",
        "x = cert_file=/nowhere key_file=/nowhere password=hush-hush", "x = key_passphrase_command=echo hush-hush",
        "* = cert_file={cert} key_file={key} key_passphrase_command='echo hush-hush'",
        "x = cert_file={cert} key_file={locked} key_passphrase_command='echo hush-hush'",
    ],
    "pgbouncer": [
        "password = hush-hush", "x = host=x password=hush-hush", "postgres://u:hush-hush@x", "hush-hush",
        "auth_ldap_options = ldapserver=x ldapbindpasswd=hush-hush nonsense", "auth_ldap_options = ldapbindpasswd=hush-hush",
        "auth_ldap_options = ldapserver=x ldapbindpasswd=\"hush-hush",
        "auth_ldap_options = ldapserver=x ldapport=0 ldapbindpasswd=hush-hush",
        "auth_ldap_options = ldapurl=\"ldap://u:hush-hush@x:y/\"", "auth_ldap_options = hush-hush",
        "server_tls_key_passphrase_command = echo hush-hush\nserver_tls_cert_file = {cert}\nserver_tls_key_file = {locked}",
    ],
    "nonsense": ["x = host=x password=hush-hush"],
}
NO_LINE = ("pgbouncer", "nonsense")  # there it may be another one


def ends(pooler):
    """What the start says that fails."""
    pooler.start(wait=False)
    assert pooler.wait() == 1
    pooler.process = None
    return pooler.log()


@pytest.fixture(scope="session")
def locked(authority):
    """Names for the files in lines: {cert}, its {key}, and the {locked} key of another, which wants a passphrase."""
    return {"cert": authority["other.crt"], "key": authority["other.key"], "locked": authority["locked.key"]}


@pytest.mark.parametrize("section", WRONG)
def test_mistakes_are_told_without_secrets(pgweir, authority, locked, told, section):
    pooler = pgweir({**LOUD, **client_side(authority)}, start=False)
    good = pooler.ini.read_text()
    files = [f"{good}[{section}]\n{line.format(**locked)}\n" for line in WRONG[section]]
    where = f"{pooler.ini}:{len(good.splitlines()) + 2}: "
    for text in files:
        pooler.ini.write_text(text)
        checked = ask(pooler, "--check-config", pooler.ini)
        assert checked.returncode == 1 and (where in checked.stderr or section in NO_LINE), (text, checked.stderr)
        told.texts += [checked.stdout, checked.stderr]
    told.texts.append(ends(pooler))  # of the last of them
    pooler.ini.write_text(good)
    pooler.start()
    for text in files:
        pooler.ini.write_text(text)
        with pytest.raises(psycopg.Error) as caught:
            pooler.reload()
        told.texts.append(str(caught.value))
    told.shown(pooler)
    told.has_none_of("hush-hush")
    assert pooler.query("SELECT 1") == [(1,)]


HBA = [
    "host all all all ldap ldapserver=x ldapbindpasswd=hush-hush nonsense",
    "host all all all pam ldapbindpasswd=hush-hush",
    "host all all all ldap ldapserver=x \"ldapbindpasswd=hush-hush",
    "host all all all ldap ldapserver=x ldapbindpasswd hush-hush",
    "host all all all ldap ldapserver=x ldapbindpasswd=hush-hush ldapport=0",
    "host all all all ldap ldapserver=x ldapbindpasswd=a hush-hush=b", "host all all all ldap ldapbindpasswd=hush-hush",
    "host all all all ldap ldapserver=x ldapprefix=a ldapbindpasswd=hush-hush",
    "host all all all ldap ldapserver=x ldapbasedn=x ldapbindpasswd=a ldapbindpasswd=hush-hush",
    "host all all all ldap ldapurl=ldap://u:hush-hush@x:y/",
    "host all all ldap ldapserver=x ldapbindpasswd=hush-hush",
    "host all all all ldapp ldapserver=x ldapbindpasswd=hush-hush",
    "host all all all ldap ldapserver=x ldapbindpasswd=a,hush-hush",
]


LIST = ['"x" "hush-hush', 'x "hush-hush"', '"x" hush-hush', '"hush-hush', '"x""hush-hush"', "x:hush-hush"]


@pytest.mark.parametrize("what,good,wrong", [
    ("auth_hba_file", "host all all 127.0.0.1/32 trust", HBA), ("auth_file", f'"{ADMIN}" "{password_of(ADMIN)}"', LIST)])
def test_mistakes_in_other_files_are_told_without_secrets(pgweir, told, what, good, wrong):
    pooler = pgweir(LOUD, start=False)
    path = pooler.directory / "file"
    path.write_text(good)
    Unprivileged.own(path)
    pooler.change_config(**{what: path, "auth_type": "hba" if what == "auth_hba_file" else "trust"})
    pooler.start()
    for line in wrong:
        path.write_text(f"{good}\n{line}\n")
        checked = ask(pooler, "--check-config", pooler.ini)
        assert checked.returncode == 1 and f"{path}:2: " in checked.stderr, (line, checked)
        with pytest.raises(psycopg.Error) as caught:
            pooler.reload()
        told.texts += [checked.stdout, checked.stderr, str(caught.value)]
    told.shown(pooler)
    told.has_none_of("hush-hush")
