"""Which user names and passwords are right, and that a comparison tells nothing but that."""

import hmac
from unittest import mock

import pytest

from respid.worker.credentials import Credentials, read_passwords


@pytest.mark.parametrize("username", [b"default", b"orders"])
@pytest.mark.parametrize("password", [b"lasting", b"new", b"old \xff"])
def test_each_password_is_right_for_each_user(username: bytes, password: bytes) -> None:
    credentials = Credentials("lasting", "orders")
    credentials.use([b"new", b"old \xff"])
    assert credentials.find_user(username, password) == username.decode()


@pytest.mark.parametrize(
    ("username", "password"),
    [(b"default", b""), (b"default", b"secre"), (b"default", b"secrets"), (b"Default", b"secret"), (b"", b"secret")],
)
def test_anything_else_is_wrong(username: bytes, password: bytes) -> None:
    assert Credentials("secret").find_user(username, password) is None


def test_a_password_from_the_environment_may_hold_any_bytes() -> None:
    assert Credentials("p\udcffw").find_user(b"default", b"p\xffw") == "default"


def test_a_password_that_was_replaced_is_wrong_and_the_lasting_one_stays_right() -> None:
    credentials = Credentials("lasting")
    credentials.use([b"old"])
    credentials.use([b"new"])
    assert credentials.find_user(b"default", b"old") is None
    assert credentials.find_user(b"default", b"new") == credentials.find_user(b"default", b"lasting") == "default"


def test_without_passwords_only_the_default_user_may_give_any() -> None:
    credentials = Credentials(username="orders")
    assert not credentials.are_needed
    assert credentials.find_user(b"default", b"x") == "default"
    assert credentials.find_user(b"orders", b"x") is None


@pytest.mark.parametrize("given", [b"", b"first", b"second", b"x" * 10_000])
def test_every_password_is_compared_at_one_length_whatever_is_given(given: bytes) -> None:
    credentials = Credentials()
    credentials.use([b"first", b"second", b"a much longer password than the others"])
    with mock.patch.object(hmac, "compare_digest", wraps=hmac.compare_digest) as compare:
        credentials.find_user(b"default", given)
    assert compare.call_count == 3
    assert {len(text) for call in compare.call_args_list for text in call.args} == {32}


def test_a_file_has_a_password_a_line_with_any_bytes_but_line_ends() -> None:
    assert read_passwords(b"new\r\n\r\n spaced \n\xff#1") == [b"new", b" spaced ", b"\xff#1"]


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n\n"])
def test_a_file_without_a_password_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="no password"):
        read_passwords(text)
