"""The description of the API, held against the standard and against the operations."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from kasparro_app.api.openapi import openapi_of, openapi_text
from kasparro_app.api.operation import Operation
from kasparro_app.api.registry import OPERATIONS
from kasparro_app.config.tables import ApiTable

SHOWN = [operation for operation in OPERATIONS if operation.documented]
OPEN = ApiTable()
KEYED = ApiTable(require_key_for_reads=True)


def described(api: ApiTable = OPEN) -> dict[str, Any]:
    """The description as a reader gets it."""
    return json.loads(openapi_text(OPERATIONS, api))


@pytest.mark.parametrize("api", [ApiTable(), KEYED])
def test_it_is_openapi_3_1(api: ApiTable) -> None:
    """The description of the whole API is valid OpenAPI 3.1."""
    OpenAPIV31SpecValidator(described(api)).validate()


def test_every_operation_stands_in_it() -> None:
    """Each documented operation is there by its path and by each alias, and nothing else is."""
    promised = {(path, op.method.lower()) for op in SHOWN for path in (op.path, *op.aliases)}
    paths = described()["paths"]
    assert {(path, method) for path, methods in paths.items() for method in methods} == promised


def test_names_of_operations_are_unique() -> None:
    """Each operationId is given once: generated clients make methods of them."""
    names = [one["operationId"] for methods in described()["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("operation", SHOWN, ids=lambda op: f"{op.method} {op.path}")
def test_changes_ask_for_a_key_and_reads_do_not(operation: Operation) -> None:
    """Exactly the operations that change something name the three headers for a key, unless reads need one too."""
    described_open = openapi_of([operation], ApiTable())["paths"][operation.path][operation.method.lower()]
    described_keyed = openapi_of([operation], KEYED)["paths"][operation.path][operation.method.lower()]
    assert bool(described_open["security"]) == (operation.scope is not None)
    assert bool(described_keyed["security"]) == (operation.scope is not None or not operation.open)
    assert ("401" in described_open["responses"]) == (operation.scope is not None)


@pytest.mark.parametrize("operation", SHOWN, ids=lambda op: f"{op.method} {op.path}")
def test_every_parameter_says_what_it_is(operation: Operation) -> None:
    """Each parameter has a schema without references and a description."""
    described_one = openapi_of([operation], ApiTable())["paths"][operation.path][operation.method.lower()]
    for parameter in described_one.get("parameters", []):
        assert "$ref" not in json.dumps(parameter), parameter
        assert parameter.get("description"), f"{operation.path}: {parameter['name']} has no description"
