# SPDX-License-Identifier: ISC
"""Tests that show defects: pytest runs them only by name (pytest test/integration/defects_found.py). Once one is mended, its
test moves to the file of its subject."""
import pytest
from test_auth import ruled  # noqa: F401 (a fixture)
from test_auth_names import REFUSED, without_password


@pytest.mark.parametrize("method", REFUSED)
@pytest.mark.parametrize("user", ["nora", "olga"])
def test_who_needs_no_password_needs_no_secret(ruled, authority, query_user, method, user):  # noqa: F811
    """A row of auth_query whose secret is NULL is somebody without a password, or whose has expired: PostgreSQL and
    PgBouncer let him in by trust, cert or peer. Ours takes him for a stranger (src/conn/auth_query.c: AUTH_QUERY_FOUND
    wants a secret)."""
    assert without_password(ruled, authority, query_user, method, [user])[1](user) is None
