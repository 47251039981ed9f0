"""kasparro.toml under the environment: what is read, and how faults are told."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kasparro_app.settings import Settings, load_settings
from kasparro_core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is not the file's."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def load(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    file = folder / "kasparro.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ=environ or {})


def faults(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text, environ)
    return [problem.replace(str(folder / "kasparro.toml"), "kasparro.toml") for problem in caught.value.problems]


CSV = '[sources.prices]\ntype = "csv"\npath = "p.csv"\n'
HTTP = '[sources.api]\ntype = "http"\nurl = "https://api.example.com/items"\n'

BAD_FILES: dict[str, tuple[str, list[str]]] = {
    "unknown table": ("[databse]\n", ["kasparro.toml:1: databse:", 'did you mean "database"?']),
    "unknown key": (CSV + 'delimitr = ";"\n', ["kasparro.toml:4: sources.prices.delimitr:", '"delimiter"?']),
    "unknown key in a table": (
        CSV + '[sources.prices.mapping]\nvaleu = "x"\n',
        ["kasparro.toml:5: sources.prices.mapping.valeu:", '"value"?'],
    ),
    "unknown key in an inline rule": (
        CSV + '[sources.prices.mapping]\nkey = "a"\noccurred_at = { field = "d", formt = "%Y" }\n',
        ["kasparro.toml:6: sources.prices.mapping.occurred_at.formt:", '"format"?'],
    ),
    "wrong type": (CSV + 'max_rejected = "many"\n', [":4: sources.prices.max_rejected:", "a number", "'many'"]),
    "out of bounds": (CSV + "max_rejected = 2\n", [":4:", "less than or equal to 1", "found 2"]),
    "wrong word": (CSV + 'drift = "evolv"\n', [":4: sources.prices.drift:", "evolve, freeze", '"evolve"?']),
    "array element": (CSV + '[sources.prices.mapping]\nkey = [\n"a",\n3]\n', [":7:", "mapping.key[1]", "text", "3"]),
    "missing key": ('[sources.p]\ntype = "csv"\n', ["kasparro.toml:1: sources.p.path:", "required"]),
    "missing type": ('[sources.p]\npath = "x"\n', [":1: sources.p.type:", "csv, feed, http"]),
    "unknown type": ('[sources.p]\ntype = "htttp"\n', [":2: sources.p.type:", "'htttp'", '"http"?']),
    "unknown preset": (
        '[sources.c]\ntype = "http"\npreset = "coingeko.markets"\n',
        [":3: sources.c.preset:", '"coingecko.markets"?'],
    ),
    "bad schedule": (CSV + 'schedule = "evry 5m"\n', [":4: sources.prices.schedule:", "every 15m", "'evry 5m'"]),
    "bad default": ("[defaults]\nmax_rejected = 7\n" + CSV, ["kasparro.toml:2: defaults.max_rejected:", "found 7"]),
    "bad day": (CSV + 'schedule = "0 0 30 2 *"\n', [":4: sources.prices.schedule:", "never comes"]),
    "bad zone": (CSV + 'timezone = "Europe/Berlyn"\n', [":4: sources.prices.timezone:", "'Europe/Berlyn'"]),
    "bad jitter": (CSV + 'jitter = "soon"\n', [":4: sources.prices.jitter:", '"30s"', "'soon'"]),
    "wide jitter": (
        CSV + 'schedule = "every 1m"\njitter = "2m"\n',
        [":5: sources.prices.jitter:", "less than the interval", "'2m'"],
    ),
    "unknown default": ('[defaults]\nschedul = "manual"\n' + CSV, [":2: defaults.schedul:", '"schedule"?']),
    "bad date format": (
        CSV + '[sources.prices.mapping]\nkey = "a"\noccurred_at = { field = "d", format = "%Q" }\n',
        [":6: sources.prices.mapping.occurred_at.format:", "%Q"],
    ),
    "unknown kind": (CSV + 'kind = "candel"\n', [":4: sources.prices.kind:", "'candel'", '"candle"?']),
    "contradicting rules": (
        CSV + '[sources.prices.mapping]\nkey = "a"\nvalue = { field = "x", type = "timestamp" }\n',
        [":6: sources.prices.mapping.value:", "decimal"],
    ),
    "unknown required": (
        CSV + '[sources.prices.mapping]\nkey = "a"\nrequired = ["valeu"]\nattributes = { b = "b" }\n',
        ["kasparro.toml:", "sources.prices.mapping", "valeu"],
    ),
    "unknown auth type": (
        HTTP + 'auth = { type = "bearr", token = "file:kasparro.toml" }\n',
        [":4: sources.api.auth:", "bearer, basic, api_key", '"bearer"?'],
    ),
    "missing variable": (
        HTTP + 'auth = { type = "bearer", token = "env:MY_TOKEN" }\n',
        [":4: sources.api.auth.token:", "environment variable MY_TOKEN is not set"],
    ),
    "missing secret file": (
        HTTP + 'auth = { type = "bearer", token = "file:no-such-file" }\n',
        [":4: sources.api.auth.token:", "no-such-file"],
    ),
    "database url": ('[database]\nurl = "mysql://root:hunter2@h/db"\n', [":2: database.url:", "postgresql://"]),
    "not a table": ('sources = "x"\n', [":1: sources:", "[sources.NAME]"]),
    "source is no table": ('[sources]\nprices = "x"\n', [":2: sources.prices:", "expected a table"]),
    "source name": ('[sources."a b"]\ntype = "csv"\npath = "x"\n', [":1: sources.a b:", "letters, digits"]),
    "api port": ("[api]\nport = 99999\n", [":2: api.port:", "65535", "found 99999"]),
    "not TOML": ("[a]\nb = \n", ["kasparro.toml:2:", "not TOML", "column 5"]),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_fault_names_file_line_key_expectation_and_a_near_name(folder: Path, name: str) -> None:
    """Each kind of fault is one sentence with everything that is needed to mend it."""
    text, parts = BAD_FILES[name]
    (sentence,) = faults(folder, text)
    assert [part for part in parts if part not in sentence] == [], sentence


def test_all_faults_are_told_at_once_by_line(folder: Path) -> None:
    """One run of the command shows everything there is to mend, in the order of the file."""
    found = faults(folder, "[api]\nprt = 1\n" + CSV + 'delimitr = ";"\ndrift = "x"\n' + "[log]\nlevel = 3\n")
    assert [sentence.split(":")[1] for sentence in found] == ["2", "6", "7", "9"]


@pytest.mark.parametrize(
    "text",
    [
        '[database]\nurl = "postgres:/hunter2"\n',
        HTTP + 'auth = { type = "bearer", token = ["hunter2"] }\n',
        HTTP + 'auth = { type = "basic", username = "u", password = { a = "hunter2" } }\n',
        HTTP + 'headers = "hunter2"\n',
        '[sources.a]\ntype = "http"\nurl = "ftp://u:hunter2@host/?key=hunter2"\n',
    ],
)
def test_a_fault_never_shows_a_secret(folder: Path, text: str) -> None:
    """Whatever is wrong with a value that may be secret, the value is not in the sentence."""
    assert "hunter2" not in " ".join(faults(folder, text))


def test_the_database_is_relative_to_the_file(folder: Path) -> None:
    """A relative SQLite URL in the file starts from the file, whatever the working directory."""
    settings = load(folder, '[database]\nurl = "sqlite:///data/x.db"\n')
    assert settings.database_url == f"sqlite:///{(folder / 'data' / 'x.db').as_posix()}"


@pytest.mark.parametrize("name", ["DATABASE_URL", "KASPARRO_DATABASE__URL"])
def test_a_database_of_the_environment_is_relative_to_the_working_directory(folder: Path, name: str) -> None:
    """The same URL in the environment starts from where the command is called."""
    settings = load(folder, "", {name: "sqlite:///x.db"})
    assert settings.database_url == f"sqlite:///{(folder / 'cwd' / 'x.db').as_posix()}"


def test_the_new_name_goes_before_the_earlier_one(folder: Path) -> None:
    """Of the two names of the database URL, KASPARRO_DATABASE__URL wins."""
    environ = {"DATABASE_URL": "postgresql://a/a", "KASPARRO_DATABASE__URL": "postgresql://b/b"}
    assert load(folder, "", environ).database_url == "postgresql://b/b"


OVERRIDES = [
    ("KASPARRO_SOURCES__MY_API__URL", "https://other.example/x", "https://other.example/x"),
    ("KASPARRO_SOURCES__MY_API__TIMEOUT", "2.5", 2.5),
    ("KASPARRO_SOURCES__MY_API__ENABLED", "false", False),
]


def read(settings: Settings, variable: str) -> Any:
    return getattr(settings.sources["my-api"], variable.rpartition("__")[2].lower())


@pytest.mark.parametrize(("variable", "text", "value"), OVERRIDES)
def test_every_key_of_a_source_can_be_overridden(folder: Path, variable: str, text: str, value: Any) -> None:
    """A variable names the source in capitals with underscores, and its text becomes what the key wants."""
    settings = load(folder, '[sources.my-api]\ntype = "http"\nurl = "https://a.example"\n', {variable: text})
    assert read(settings, variable) == value


def test_nested_keys_keep_the_spelling_of_the_file(folder: Path) -> None:
    """In a table of free names, a variable means the name that is there, else the lower-case one."""
    text = HTTP + "params = { perPage = 1 }\nretry = { attempts = 2 }\n"
    environ = {
        "KASPARRO_SOURCES__API__PARAMS__PERPAGE": "9",
        "KASPARRO_SOURCES__API__PARAMS__EXTRA": "x",
        "KASPARRO_SOURCES__API__RETRY__ATTEMPTS": "7",
    }
    config: Any = load(folder, text, environ).sources["api"]
    assert (config.params, config.retry.attempts) == ({"perPage": "9", "extra": "x"}, 7)


def test_arrays_and_tables_of_the_environment_are_json_or_toml(folder: Path) -> None:
    """A value that begins with a bracket is read as JSON, or as TOML."""
    environ = {
        "KASPARRO_SOURCES__PRICES__MAPPING__KEY": '["a", "b"]',
        "KASPARRO_SOURCES__PRICES__MAPPING__VALUE": '{ field = "close", required = true }',
    }
    mapping = load(folder, CSV, environ).sources["prices"].record_mapping("prices").model_dump()
    assert mapping["key"] == ["a", "b"]
    assert mapping["value"]["required"] is True


@pytest.mark.parametrize(
    ("variable", "parts"),
    [
        ("KASPARRO_SOURCES__PRICS__PATH", ["unknown source 'prics'", '"prices"?']),
        ("KASPARRO_SOURCES__PRICES__PTH", ["unknown key 'pth'", '"path"?']),
        ("KASPARRO_SOURCE__PRICES__PATH", ["unknown table 'source'", '"sources"?']),
        ("KASPARRO_DATABASE__URI", ["unknown key 'uri'", '"url"?']),
        ("KASPARRO_DEFAULTS__SCHEDUL", ["unknown key 'schedul'", '"schedule"?']),
    ],
)
def test_a_mistyped_variable_is_a_fault(folder: Path, variable: str, parts: list[str]) -> None:
    """A name with `__` that names nothing is told with a near name."""
    (sentence,) = faults(folder, CSV, {variable: "x"})
    assert [part for part in [variable, *parts] if part not in sentence] == []


def test_other_variables_are_left_alone(folder: Path) -> None:
    """KASPARRO_ names without `__` belong to others."""
    assert load(folder, CSV, {"KASPARRO_HOME": "x", "KASPARRO_TEST_DATABASE_URL": "y"}).sources


def test_a_bad_value_of_the_environment_names_its_variable(folder: Path) -> None:
    """A fault of an overridden value is told with the variable, not with a line of the file."""
    (sentence,) = faults(folder, CSV, {"KASPARRO_SOURCES__PRICES__MAX_REJECTED": "lots"})
    assert sentence.startswith(
        "environment variable KASPARRO_SOURCES__PRICES__MAX_REJECTED: sources.prices.max_rejected"
    )


def test_secrets_come_from_variables_and_files(folder: Path) -> None:
    """env:NAME, file:PATH (from the file's folder) and the _FILE variant all end as the secret."""
    (folder / "token").write_text("from file\n", encoding="utf-8")
    (folder / "cwd" / "other").write_text("from variant\n", encoding="utf-8")
    table = '[sources.{}]\ntype = "http"\nurl = "https://a.example"\nauth = {{ type = "bearer", token = "{}" }}\n'
    text = table.format("a", "env:T") + table.format("b", "file:token") + table.format("c", "env:T")
    environ = {"T": "from variable", "KASPARRO_SOURCES__C__AUTH__TOKEN_FILE": "other"}
    configs: Mapping[str, Any] = load(folder, text, environ).sources
    tokens = [config.auth.token.get_secret_value() for config in configs.values()]
    assert tokens == ["from variable", "from file", "from variant"]
    assert "from" not in repr(configs)


def test_a_preset_goes_on_without_its_optional_key(folder: Path) -> None:
    """A missing variable of a preset that needs no key is a notice, and the source has no auth."""
    text = '[sources.c]\ntype = "http"\npreset = "coingecko.markets"\nauth = { key = "env:COINGECKO_API_KEY" }\n'
    settings = load(folder, text)
    config: Any = settings.sources["c"]
    assert config.auth is None
    assert settings.notices == ("c: COINGECKO_API_KEY is not set, going on without a key",)
    with_key: Any = load(folder, text, {"COINGECKO_API_KEY": "k"}).sources["c"]
    assert with_key.auth.key.get_secret_value() == "k"


def test_a_secret_in_the_file_is_noticed(folder: Path) -> None:
    """A secret that stands in the file works, and is remarked on without being shown."""
    settings = load(folder, HTTP + 'auth = { type = "bearer", token = "hunter2" }\n')
    (notice,) = settings.notices
    assert "kasparro.toml:4" in notice
    assert "hunter2" not in notice


def test_a_switched_off_source_needs_no_secret(folder: Path) -> None:
    """The variable of a source with enabled = false may be missing."""
    text = HTTP + 'enabled = false\nauth = { type = "bearer", token = "env:NOT_SET" }\n'
    assert not load(folder, text).sources["api"].enabled


def test_defaults_stand_under_the_sources_that_know_them(folder: Path) -> None:
    """A default holds where the type has the key and the source does not say otherwise."""
    text = '[defaults]\nbatch_rows = 7\nschedule = "every 1h"\n' + CSV + 'schedule = "manual"\n' + HTTP
    sources: Mapping[str, Any] = load(folder, text).sources
    assert (sources["prices"].batch_rows, sources["prices"].schedule, sources["api"].schedule) == (
        7,
        "manual",
        "every 1h",
    )


def test_the_earlier_names_still_work(folder: Path) -> None:
    """Each alias sets its key; CSV_PATH adds the source `csv`, relative to the working directory."""
    environ = {
        "API_KEY": "secret",
        "CSV_PATH": "data.csv",
        "ETL_BATCH_SIZE": "50",
        "ETL_INTERVAL_SECONDS": "300",
        "CHAOS_MODE": "true",
        "LOG_LEVEL": "INFO",
        "ENVIRONMENT": "staging",
    }
    settings = load(folder, "", environ)
    config: Any = settings.sources["csv"]
    assert config.path == str(folder / "cwd" / "data.csv")
    assert (config.batch_rows, config.schedule) == (50, "every 300s")
    tables = settings.tables
    assert tables.api.admin_key is not None
    assert tables.api.admin_key.get_secret_value() == "secret"
    assert (tables.chaos.enabled, tables.log.level, tables.environment) == (True, "info", "staging")


def test_numbers_of_the_file_stay_exact(folder: Path) -> None:
    """A decimal constant of a mapping is not rounded on its way."""
    text = CSV + '[sources.prices.mapping]\nkey = "a"\nvalue = { const = 0.10000000000000000001 }\n'
    rule: Any = load(folder, text).sources["prices"].record_mapping("prices").value
    assert rule.const == Decimal("0.10000000000000000001")


def test_every_table_of_the_reference_is_accepted(folder: Path) -> None:
    """One file serves later versions: the documented tables validate today."""
    text = (
        '[api]\nhost = "0.0.0.0"\nport = 80\nrequire_key_for_reads = true\ntrusted_hosts = ["a"]\n'
        'rate_limit = { requests = 10, per = "second" }\ncors = { origins = ["https://a"] }\n'
        '[log]\nlevel = "INFO"\nformat = "json"\n[chaos]\nenabled = false\n'
        '[retention]\nraw = "90d"\nversions = "5GB"\nruns = "1y"\nresolved_rejections = "30d"\n'
    )
    assert load(folder, text).tables.api.port == 80


def test_no_file_is_fine_unless_it_was_asked_for(folder: Path) -> None:
    """Without kasparro.toml there are defaults; a named file that is not there is a fault."""
    assert load_settings(environ={}).sources == {}
    with pytest.raises(ConfigurationError, match="no file"):
        load_settings(folder / "nope.toml", environ={})
