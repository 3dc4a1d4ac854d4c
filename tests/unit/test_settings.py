"""Settings: read once from variables, every problem named at once, no secret shown."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from controlplane.secret import Secret
from controlplane.settings import Settings, SettingsError, declarations, table, variable_of

KEY = base64.urlsafe_b64encode(bytes(32)).decode()
OTHER_KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()


def problems(environment: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        Settings.read(environment)
    return refusal.value.problems


def database_url(text: str) -> str:
    url = Settings.read({"HUB_DATABASE_URL": text}).database_url
    assert url is not None
    return url.reveal()


def test_nothing_set_makes_a_hub_on_this_machine_with_its_own_database() -> None:
    settings = Settings.read({})
    assert settings.bind == "127.0.0.1:8000"
    assert settings.state_dir == Path.cwd() / "state"
    assert settings.embedded
    assert settings.loopback_only
    assert settings.public_address == "http://127.0.0.1:8000"
    assert not settings.secure
    assert settings.origins == {"http://127.0.0.1:8000"}
    assert (settings.rate_limit_per_minute, settings.heartbeat_seconds, settings.shutdown_seconds) == (60, 30, 10)


def test_variables_win_over_defaults_and_blanks_around_them_do_not_count() -> None:
    settings = Settings.read({"HUB_BIND": " [::1]:9000\n", "HUB_POOL_SIZE": "4", "HUB_LOG_LEVEL": "DEBUG"})
    assert settings.address == ("::1", 9000)
    assert settings.pool_size == 4
    assert settings.log_level == "debug"


def test_a_variable_set_to_nothing_counts_as_not_set() -> None:
    assert Settings.read({"HUB_BIND": "", "HUB_DATABASE_URL": "  "}) == Settings.read({})


def test_other_programs_variables_are_none_of_our_business() -> None:
    assert Settings.read({"PATH": "/bin", "HUBBLE": "x", "PGHOST": "elsewhere"}) == Settings.read({})


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.read({}).bind = "elsewhere:1"  # type: ignore[misc]


def test_a_platforms_port_binds_every_address() -> None:
    settings = Settings.read({"PORT": "5000"})
    assert settings.bind == "0.0.0.0:5000"
    assert not settings.loopback_only
    assert settings.public_address == "http://localhost:5000"


def test_an_own_bind_wins_over_the_platforms_port() -> None:
    assert Settings.read({"PORT": "5000", "HUB_BIND": "127.0.0.1:1"}).bind == "127.0.0.1:1"


def test_every_problem_is_told_at_once_and_names_its_variable() -> None:
    told = problems(
        {
            "HUB_BIND": "localhost",
            "HUB_POOL_SIZE": "many",
            "HUB_LOG_FORMAT": "xml",
            "HUB_SHUTDOWN_SECONDS": "0",
            "HUB_PUBLIC_URL": "hub.example.com",
            "HUB_STATE_DIRECTORY": "/x",
        }
    )
    assert [problem.split("=")[0].split()[0] for problem in told] == [
        "HUB_BIND",
        "HUB_PUBLIC_URL",
        "HUB_LOG_FORMAT",
        "HUB_POOL_SIZE",
        "HUB_SHUTDOWN_SECONDS",
        "HUB_STATE_DIRECTORY",
    ]
    assert all(problem.endswith(".") for problem in told)


def test_a_problem_says_what_is_wrong_and_what_to_write() -> None:
    (problem,) = problems({"HUB_BIND": "localhost"})
    assert problem == "HUB_BIND='localhost' has no port: write host:port, as in 127.0.0.1:8000 or [::1]:8000."


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("HUB_POOLSIZE", "HUB_POOL_SIZE"), ("HUB_DATABSE_URL", "HUB_DATABASE_URL"), ("HUB_MASTER_KEYS", "HUB_MASTER_KEY")],
)
def test_an_unknown_variable_is_an_error_that_names_the_nearest(wrong: str, near: str) -> None:
    assert problems({wrong: "1"}) == [f"{wrong} is not a setting of the Hub: write {near}."]


def test_an_unknown_variable_near_to_nothing_points_to_the_list() -> None:
    (problem,) = problems({"HUB_XYZZY_PLUGH_FROTZ": "1"})
    assert "`hub settings`" in problem


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [
        ("HUB_BIND", "127.0.0.1"),
        ("HUB_BIND", ":8000"),
        ("HUB_BIND", "127.0.0.1:"),
        ("HUB_BIND", "127.0.0.1:70000"),
        ("HUB_BIND", "127.0.0.1:80x"),
        ("HUB_BIND", "::1:8000"),
        ("HUB_BIND", "[::zz]:8000"),
        ("HUB_BIND", "a host:8000"),
        ("PORT", "0"),
        ("PORT", "http"),
        ("HUB_POOL_SIZE", "1"),
        ("HUB_POOL_SIZE", "1e3"),
        ("HUB_POOL_SIZE", "٣٣"),
        ("HUB_POOL_SIZE", "9" * 5000),
        ("HUB_HEARTBEAT_SECONDS", "-30"),
        ("HUB_STATEMENT_TIMEOUT_SECONDS", "nan"),
        ("HUB_STATEMENT_TIMEOUT_SECONDS", "inf"),
        ("HUB_STATEMENT_TIMEOUT_SECONDS", "1s"),
        ("HUB_PUBLIC_URL", "ftp://hub"),
        ("HUB_PUBLIC_URL", "https://"),
        ("HUB_PUBLIC_URL", "https://hub/path"),
        ("HUB_PUBLIC_URL", "https://hub:x"),
        ("HUB_PUBLIC_URL", "https://user@hub"),
        ("HUB_ALLOWED_ORIGINS", "https://a.example, b.example"),
        ("HUB_ALLOWED_ORIGINS", "*"),
        ("HUB_CRON_SECRET", "short"),
        ("HUB_CRON_SECRET", "with a line break\nin the middle of it"),
        ("HUB_MASTER_KEY", "not base64!"),
        ("HUB_MASTER_KEY", base64.urlsafe_b64encode(bytes(31)).decode()),
        ("HUB_MASTER_KEY", f"{KEY},é"),
        ("HUB_DATABASE_URL", "mysql://u:p@h/d"),
        ("HUB_DATABASE_URL", "sqlite:///x"),
        ("HUB_DATABASE_URL", "postgresql+psycopg://u:p@h/d"),
        ("HUB_DATABASE_URL", "db.example.com"),
        ("HUB_DATABASE_URL", "postgresql://u:p@h"),
        ("HUB_DATABASE_URL", "postgresql:///d"),
        ("HUB_DATABASE_URL", "postgresql://u:p@h:port/d"),
        ("HUB_DATABASE_URL", "postgresql://u:p#w@h/d"),
        ("HUB_DATABASE_URL", "postgresql://u:p@h/d?sslmode=perhaps"),
        ("HUB_DATABASE_URL", "postgresql://u:p@h/d?channel_binding=require"),
        ("DATABASE_URL", "mysql://u:p@h/d"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(variable: str, wrong: str) -> None:
    (problem,) = problems({variable: wrong})
    assert problem.startswith(variable)
    assert ": write " in problem


def test_a_state_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    (problem,) = problems({"HUB_STATE_DIR": str(file)})
    assert "is a file" in problem


def test_a_sign_in_cannot_idle_longer_than_it_lasts() -> None:
    (problem,) = problems({"HUB_SESSION_IDLE_HOURS": "48", "HUB_SESSION_ABSOLUTE_DAYS": "1"})
    assert "HUB_SESSION_IDLE_HOURS=48" in problem
    assert "HUB_SESSION_ABSOLUTE_DAYS=1" in problem


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u:p@h:5433/d", "postgresql+asyncpg://u:p@h:5433/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgres://u:p%40%2F@h/d", "postgresql+asyncpg://u:p%40%2F@h/d"),
        ("postgres://u:p@h/d?sslmode=require", "postgresql+asyncpg://u:p@h/d?ssl=require"),
        ("postgres://u:p@[::1]:5432/d", "postgresql+asyncpg://u:p@[::1]:5432/d"),
        ("postgresql://hub@/hub?host=/run/postgresql", "postgresql+asyncpg://hub@/hub?host=/run/postgresql"),
    ],
)
def test_any_platforms_database_url_is_understood(given: str, ours: str) -> None:
    assert database_url(given) == ours


def test_plain_database_url_does_and_the_prefixed_one_wins() -> None:
    plain = Settings.read({"DATABASE_URL": "postgres://u:p@plain/d"})
    assert plain.database_url == Secret("postgresql+asyncpg://u:p@plain/d")
    assert not plain.embedded
    both = Settings.read({"DATABASE_URL": "postgres://u:p@plain/d", "HUB_DATABASE_URL": "postgres://u:p@own/d"})
    assert both.database_url == Secret("postgresql+asyncpg://u:p@own/d")


def test_several_master_keys_newest_first() -> None:
    assert Settings.read({"HUB_MASTER_KEY": f"{KEY}, {OTHER_KEY},"}).master_key == (Secret(KEY), Secret(OTHER_KEY))


def test_origins_are_written_as_browsers_send_them() -> None:
    settings = Settings.read(
        {"HUB_PUBLIC_URL": "https://Hub.Example.com:443/", "HUB_ALLOWED_ORIGINS": "http://[::1]:3000, https://app.test"}
    )
    assert settings.public_address == "https://hub.example.com"
    assert settings.secure
    assert settings.origins == {"https://hub.example.com", "http://[::1]:3000", "https://app.test"}


@pytest.mark.parametrize(
    ("bind", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("127.8.8.8:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("hub.example.com:1", False),
        ("10.0.0.1:1", False),
    ],
)
def test_who_can_reach_the_hub(bind: str, loopback: bool) -> None:
    assert Settings.read({"HUB_BIND": bind}).loopback_only is loopback


SECRETS = {
    "HUB_DATABASE_URL": "postgresql://hub:hunter2secret@db/hub",
    "HUB_MASTER_KEY": f"{KEY},{OTHER_KEY}",
    "HUB_CRON_SECRET": "hunter2secret-and-much-more",
}


def test_no_secret_is_shown() -> None:
    shown = repr(Settings.read(SECRETS)) + str(table(SECRETS))
    assert not any(part in shown for part in ("hunter2", KEY, OTHER_KEY))
    assert "hub:•••@db/hub" in shown


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [
        ("HUB_MASTER_KEY", "hunter2"),
        ("HUB_CRON_SECRET", "hunter2"),
        ("HUB_DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("HUB_DATABASE_URL", "postgresql://u:hunter2@h:x/d"),
        ("HUB_DATABASE_URL", "postgresql://u:hunter2/x@h/d"),
        ("HUB_DATABASE_URL", "u:hunter2@h/d"),
        ("HUB_DATABASE_URL", "hunter2:u@h/d?x=hunter2"),
        ("HUB_DATABASE_URL", "postgresql://u:1?hunter2=@h/d"),
        ("HUB_DATABASE_URL", "postgresql://u:p[hunter2@h/d"),
        ("HUB_PUBLIC_URL", "https://u:hunter2@hub"),
    ],
)
def test_a_wrong_secret_is_not_shown_either(variable: str, wrong: str) -> None:
    assert not any("hunter2" in problem for problem in problems({variable: wrong}))


def test_the_table_tells_where_each_value_came_from() -> None:
    lines = {
        line.name: line for line in table({"PORT": "80", "DATABASE_URL": "postgres://u:p@h/d", "HUB_POOL_SIZE": "4"})
    }
    assert (lines["HUB_BIND"].value, lines["HUB_BIND"].source) == ("0.0.0.0:80", "PORT")
    assert lines["HUB_DATABASE_URL"].source == "DATABASE_URL"
    assert (lines["HUB_POOL_SIZE"].value, lines["HUB_POOL_SIZE"].source) == ("4", "HUB_POOL_SIZE")
    assert (lines["HUB_MASTER_KEY"].value, lines["HUB_MASTER_KEY"].source) == (None, "default")
    assert lines["HUB_MASTER_KEY"].default == "made in the state folder"
    assert list(lines) == [variable_of(name) for name in declarations()]


def test_an_override_stands_for_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_BIND", "127.0.0.1:1")
    assert Settings.of_process().bind == "127.0.0.1:1"
    assert Settings.of_process(bind=None).bind == "127.0.0.1:1"
    assert Settings.of_process(bind="127.0.0.1:2").bind == "127.0.0.1:2"
    with pytest.raises(SettingsError, match="HUB_BIND='2'"):
        Settings.of_process(bind="2")


def test_every_setting_has_its_words() -> None:
    for name, declaration in declarations().items():
        assert declaration.description.endswith("."), name
        assert "|" not in declaration.description, name
        assert declaration.default or declaration.unset, name
