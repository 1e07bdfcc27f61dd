"""Which usernames and passwords are accepted, and that timing reveals nothing else."""

import hmac
from unittest import mock

import pytest

from respid.worker.credentials import Credentials, count_short, read_passwords


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


def test_password_can_contain_any_bytes() -> None:
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
    assert read_passwords(b"new\r\n\r\n spaced \n\xc3\xa4#1") == [b"new", b" spaced ", b"\xc3\xa4#1"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"first\n \n", "line 2 contains nothing but white space"),
        (b"first\n\n\t\r\n", "line 3 contains nothing but white space"),
        (b"first\n\x0c", "line 2 contains nothing but white space"),
        (b"\xef\xbb\xbffirst\n", "line 1 begins with a byte order mark"),
        ("first\n".encode("utf-16"), "line 1 begins with a byte order mark"),
        ("first\n".encode("utf-16-be"), "line 1 contains a NUL byte"),
        ("first\n".encode("utf-16-le"), "line 1 contains a NUL byte"),
        (b"first\nsec\0ond\n", "line 2 contains a NUL byte"),
        (b"# passwords\nfirst\n", "line 1 begins with '#': comments are not supported"),
        (b"first\n\xe4\n", "line 2 is not UTF-8"),
    ],
)
def test_refuses_a_line_that_is_no_password(text: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_passwords(text)


def test_counts_short_passwords() -> None:
    assert count_short([b"x" * 15, b"x" * 16, b""]) == 2


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n\n"])
def test_refuses_a_file_without_passwords(text: bytes) -> None:
    with pytest.raises(ValueError, match="no password"):
        read_passwords(text)
