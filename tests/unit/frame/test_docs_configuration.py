"""The configuration reference and the models that read kasparro.toml say the same."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from kasparro_core.services.position import Shape

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"
MARK = re.compile(r"<!-- keys of (\w+) -->")
ROW = re.compile(r"^\| `([^`|]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def import_everything() -> None:
    """Import every module of the program, so that every model exists. Migrations run only under Alembic."""
    for name in ("kasparro_core", "kasparro_adapters", "kasparro_app"):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not re.search(r"\.(migrations|testing|__main__)\b", module.name):
                importlib.import_module(module.name)


def subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """All models below this one."""
    for child in model.__subclasses__():
        yield child
        yield from subclasses(child)


def closed_models() -> dict[str, type[BaseModel]]:
    """The models of a person's configuration: those of this program that refuse unknown keys and have own keys."""
    import_everything()
    mine = (model for model in subclasses(BaseModel) if model.__module__.startswith("kasparro_"))
    closed = {
        model.__name__: model
        for model in mine
        if model.model_config.get("extra") == "forbid"
        and not model.__module__.startswith("kasparro_app.api.")
        and not issubclass(model, Shape)  # of what the program itself has written
    }
    public = {name: model for name, model in sorted(closed.items()) if not name.startswith("_")}
    return {name: model for name, model in public.items() if own_fields(model)}


def own_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys that a model itself or a private base of it declares, by the name that a person types."""
    kin = [model, *(base for base in model.__mro__[1:] if base.__name__.startswith("_"))]
    own = {name for base in kin for name in inspect.get_annotations(base)}
    return {field.alias or name: field for name, field in model.model_fields.items() if name in own}


def documented() -> dict[str, dict[str, tuple[str, str, str]]]:
    """Per marked table of the page: key to (type, default, meaning)."""
    _, *rest = MARK.split(PAGE.read_text("utf-8"))
    tables = zip(rest[::2], rest[1::2], strict=True)
    return {name: {row[0]: (row[1], row[2], row[3]) for row in ROW.findall(text)} for name, text in tables}


def shown_default(field: FieldInfo) -> str:
    """A default as the page shows it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "as below"
    return "none" if value is None else f"`{as_toml(value)}`"


def as_toml(value: Any) -> str:
    """A value as one would write it in the file."""
    if isinstance(value, SecretStr):
        return as_toml(value.get_secret_value())
    if isinstance(value, (tuple, list, set, frozenset)):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return json.dumps(value)
    return json.dumps(value, ensure_ascii=False)


MODELS = closed_models()


def test_the_models_are_found() -> None:
    """The walk finds the shared keys and each type of source, so that the comparisons below compare something."""
    names = {"SourceConfig", "FetchOptions", "HttpSourceConfig", "CsvSourceConfig", "FeedSourceConfig", "MappingRules"}
    assert names <= MODELS.keys()


@pytest.mark.parametrize("name", MODELS)
def test_every_key_is_documented(name: str) -> None:
    """Each key of the model stands in its table of the reference, and the table names no key that is not there."""
    assert documented().get(name, {}).keys() == own_fields(MODELS[name]).keys()


@pytest.mark.parametrize("name", MODELS)
def test_every_default_is_the_true_one(name: str) -> None:
    """The default that the reference states is the default of the model."""
    table = documented().get(name, {})
    stated = {key: row[1].strip() for key, row in table.items()}
    assert stated == {key: shown_default(field) for key, field in own_fields(MODELS[name]).items()}


def test_no_table_is_left_over() -> None:
    """Each marked table of the reference belongs to a model that exists."""
    assert documented().keys() == MODELS.keys()


def test_every_preset_is_documented() -> None:
    """Each preset stands on the page by its name."""
    presets = importlib.import_module("kasparro_adapters.http").PRESETS
    assert presets
    assert {name for name in presets if f"`{name}`" not in PAGE.read_text("utf-8")} == set()


def test_every_variable_of_the_environment_is_documented() -> None:
    """Each name in capitals that the configuration knows stands on the page."""
    folder = Path(importlib.import_module("kasparro_app").__file__ or "").parent
    modules = [folder / "settings.py", *(folder / "config").glob("*.py")]
    names = {name for path in modules for name in re.findall(r'"([A-Z][A-Z_]{4,}[A-Z])"', path.read_text("utf-8"))}
    assert "DATABASE_URL" in names
    assert {name for name in names if f"`{name}`" not in PAGE.read_text("utf-8")} == set()


@pytest.mark.parametrize(
    ("files", "spelled", "page"),
    [
        (["docker-compose.yml"], r"\$\{([A-Z_]+)", "run-in-containers.md"),
        (["tests/conftest.py", "tests/support/*.py"], r'"(KASPARRO_[A-Z]+_[A-Z_]+)"', "work-on-kasparro.md"),
    ],
)
def test_every_variable_around_the_program_is_documented(files: list[str], spelled: str, page: str) -> None:
    """What compose takes from .env, and what the tests take from the environment, stands in its how-to."""
    root = PAGE.parents[2]
    texts = [path.read_text("utf-8") for pattern in files for path in root.glob(pattern)]
    names = {name for text in texts for name in re.findall(spelled, text)}
    text = (root / "docs" / "how-to" / page).read_text("utf-8")
    assert names
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()
