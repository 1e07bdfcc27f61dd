"""Which usernames and passwords are accepted, and that timing reveals nothing else."""

import hmac
from unittest import mock

import pytest

from respid.worker.credentials import Credentials, read_passwords


@pytest.mark.parametrize("username", [b"default", b"orders"])
@pytest.mark.parametrize("password", [b"lasting", b"new", b"old \xff"])
def test_accepts_each_password_for_each_user(username: bytes, password: bytes) -> None:
    credentials = Credentials("lasting", "orders")
    credentials.use([b"new", b"old \xff"])
    assert credentials.find_user(username, password) == username.decode()


@pytest.mark.parametrize(
    ("username", "password"),
    [(b"default", b""), (b"default", b"secre"), (b"default", b"secrets"), (b"Default", b"secret"), (b"", b"secret")],
)
def test_refuses_anything_else(username: bytes, password: bytes) -> None:
    assert Credentials("secret").find_user(username, password) is None


def test_a_password_can_contain_any_bytes() -> None:
    assert Credentials("p\udcffw").find_user(b"default", b"p\xffw") == "default"


def test_replaces_all_but_the_first_password() -> None:
    credentials = Credentials("lasting")
    credentials.use([b"old"])
    credentials.use([b"new"])
    assert credentials.find_user(b"default", b"old") is None
    assert credentials.find_user(b"default", b"new") == credentials.find_user(b"default", b"lasting") == "default"


def test_accepts_default_without_passwords() -> None:
    credentials = Credentials(username="orders")
    assert not credentials.are_needed
    assert credentials.find_user(b"default", b"x") == "default"
    assert credentials.find_user(b"orders", b"x") is None


@pytest.mark.parametrize("given", [b"", b"first", b"second", b"x" * 10_000])
def test_compares_all_digests_in_full(given: bytes) -> None:
    credentials = Credentials()
    credentials.use([b"first", b"second", b"a much longer password than the others"])
    with mock.patch.object(hmac, "compare_digest", wraps=hmac.compare_digest) as compare:
        credentials.find_user(b"default", given)
    assert compare.call_count == 3
    assert {len(text) for call in compare.call_args_list for text in call.args} == {32}


def test_reads_one_password_per_line() -> None:
    assert read_passwords(b"new\r\n\r\n spaced \n\xff#1") == [b"new", b" spaced ", b"\xff#1"]


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n\n"])
def test_refuses_a_file_without_passwords(text: bytes) -> None:
    with pytest.raises(ValueError, match="no password"):
        read_passwords(text)
