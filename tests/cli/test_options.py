"""The options: their help, and how they fill Config."""

import dataclasses
import logging
from pathlib import Path

import click
import pytest

from respid.cli.group import respid
from respid.cli.serve import serve
from respid.worker.config import Config
from tests.support.command_line import run_command_line

FROM_ENVIRONMENT = {"worker_id_source", "pod_name", "pod_uid", "password"}
NO_FIELDS = {"epoch", "worker_id_offset", "unknown_variables"}


@pytest.mark.parametrize("name", ["serve", "decode", "min", "max", "healthcheck", "check"])
def test_help_shows_variable_and_default(name: str) -> None:
    command = respid.commands[name]
    context = click.Context(command)
    for option in command.params:
        if isinstance(option, click.Option) and not option.is_flag:
            _, shown = option.get_help_record(context) or ("", "")
            variables = [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
            assert all(variable in shown for variable in variables)
            assert "default: " in shown
            assert not isinstance(option.type, click.types.FloatParamType) or "seconds" in shown.lower()
    outcome = run_command_line(name, "--help")
    assert outcome.exit_code == 0
    assert command.params[-1].opts[0] in outcome.stdout


def test_each_option_fills_the_field_of_its_name() -> None:
    options = {option.name for option in serve.params}
    assert options - NO_FIELDS == {field.name for field in dataclasses.fields(Config)} - FROM_ENVIRONMENT


def test_defaults_are_those_of_config() -> None:
    config = run_command_line("--worker-id", "1", "--store", "none").config
    assert config == Config(worker_id=1, worker_id_source="--worker-id", store="none", pod_name="host")


@pytest.mark.parametrize("command", ["serve --worker-id 1", "check localhost:1"])
@pytest.mark.parametrize("form", ["--requirepass-file=/nowhere", "--requirepass-file /nowhere"])
def test_requirepass_file_is_a_hidden_alias(command: str, form: str) -> None:
    outcome = run_command_line(*command.split(), *form.split())
    if outcome.config is None:
        assert outcome.error_line == "respid: /nowhere: No such file or directory"
    else:
        assert str(outcome.config.password_file) == "/nowhere"
    assert "requirepass" not in run_command_line(command.partition(" ")[0], "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        ("--port 65536", "RESPID_PORT"),
        ("--port redis", "'redis' is not a valid integer."),
        ("--drain-delay soon", "'soon' is not a number of seconds"),
        ("--drain-delay nan", "RESPID_DRAIN_DELAY"),
        ("--max-clock-lead inf", "RESPID_MAX_CLOCK_LEAD"),
        ("--max-clients 0", "RESPID_MAX_CLIENTS"),
        ("--unix-socket-mode 999", "'999' is not a file mode such as 660"),
        ("--peers ids", "'ids' is not a name and a port, such as ids-ready:6379"),
        ("--peers :6379", "RESPID_PEERS"),
        ("--peers ids:0", "RESPID_PEERS"),
        ("--store paper", "'paper' is not one of 'file', 'lease', 'none'"),
        ("--prot 7000", "'--prot'"),
        ("--a\nb", "'--a"),
    ],
)
def test_refuses_invalid_values(arguments: str, variable: str) -> None:
    outcome = run_command_line("--worker-id", "1", *arguments.split(" "))
    assert (outcome.exit_code, outcome.config) == (2, None)
    assert outcome.error_line.startswith("respid: ")
    assert variable in outcome.error_line


@pytest.mark.parametrize(
    ("value", "peers"), [("ids.local:6379", ("ids.local", 6379)), ("[2001:db8::1]:1", ("2001:db8::1", 1)), ("", None)]
)
def test_peers_are_a_name_and_a_port(value: str, peers: tuple[str, int] | None) -> None:
    config = run_command_line("--worker-id", "1", variables={"RESPID_PEERS": value}).config
    assert config is not None
    assert config.peers == peers


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/var/lib/respid\n", "'/var/lib/respid\\n' begins or ends with white space"),
        (" /var/lib/respid", "begins or ends with white space"),
        ("/var/lib/respid\r", "begins or ends with white space"),
        ('"/var/lib/respid"', "is in quotation marks: leave them out"),
        ("'/var/lib/respid'", "is in quotation marks: leave them out"),
        ("~/respid", "begins with ~, which only a shell replaces: write the whole path"),
    ],
)
@pytest.mark.parametrize("setting", ["STATE_DIR", "PASSWORD_FILE", "UNIX_SOCKET", "TLS_CERT_FILE"])
def test_refuses_paths_that_were_meant_otherwise(setting: str, path: str, reason: str) -> None:
    outcome = run_command_line("--worker-id", "1", variables={f"RESPID_{setting}": path})
    assert (outcome.exit_code, outcome.config) == (2, None)
    assert f"RESPID_{setting}" in outcome.error_line
    assert reason in outcome.error_line


@pytest.mark.parametrize("path", ["/a b/c", "/~", "/it's", "./~x", '"', "/\udcff"])
def test_takes_paths_that_only_look_odd(path: str) -> None:
    config = run_command_line("--worker-id", "1", "--state-dir", path).config
    assert config is not None
    assert config.state_dir == Path(path).absolute()


def test_socket_mode_is_octal() -> None:
    config = run_command_line("--worker-id", "1", "--unix-socket-mode", "660").config
    assert config is not None
    assert config.unix_socket_mode == 0o660


def test_reading_options_does_not_set_up_the_log() -> None:
    before = logging.getLogger().handlers[:]
    serve.make_context("serve", ["--worker-id", "1", "--log-format", "json"]).close()
    assert logging.getLogger().handlers == before
