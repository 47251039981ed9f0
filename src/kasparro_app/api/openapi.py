"""OpenAPI 3.1 from the operations and from the models that validate: nothing in it is written twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kasparro_app.api.answers import JSON
from kasparro_app.api.errors import MEDIA
from kasparro_app.api.general_answers import GENERAL, ProblemBody
from kasparro_app.api.operation import Answer, Operation, Parameters
from kasparro_app.api.parameters import fields_of
from kasparro_app.config.tables import ApiTable
from kasparro_app.version import program_version

Part = dict[str, Any]
_REF: Final = "#/components/schemas/{model}"
_SCHEMES: Final[Part] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "schedulerToken": {"type": "apiKey", "in": "header", "name": "X-Scheduler-Token"},
}
_ANY_SCHEME: Final[list[Part]] = [{name: []} for name in _SCHEMES]
_REQUEST_ID: Final = {"X-Request-ID": "The id of this request: the caller's own, or a new one."}
EVENTS: Final = "text/event-stream"
_ABOUT: Final = """What was ingested, how it came in, and what needs a person.

Faults are told as `application/problem+json` (RFC 9457). Times are RFC 3339 in UTC. Decimals are JSON numbers with all
their digits. Only POST changes anything, and it always takes a key of scope `trigger` or `admin`, made by
`kasparro keys create`."""


def openapi_text(operations: Iterable[Operation], api: ApiTable) -> bytes:
    """The description of these operations as JSON."""
    return json.dumps(openapi_of(operations, api), ensure_ascii=False, separators=(",", ":")).encode()


def openapi_of(operations: Iterable[Operation], api: ApiTable) -> Part:
    """The description of the documented operations, each also under its aliases."""
    shown = [operation for operation in operations if operation.documented]
    names, schemas = _schemas(shown)
    paths: dict[str, Part] = {}
    for operation in shown:
        for path in (operation.path, *operation.aliases):
            keyed = operation.scope is not None or (api.require_key_for_reads and not operation.open)
            paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, path, names, keyed=keyed)
    return {
        "openapi": "3.1.1",
        "info": {"title": "Kasparro", "version": program_version(), "description": _ABOUT, "license": {"name": "MIT"}},
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in shown)],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SCHEMES},
    }


def _schemas(operations: Sequence[Operation]) -> tuple[Mapping[type[BaseModel], Part], Part]:
    """The reference to each model of an answer, and the schemas that they lead to."""
    answers = [answer for operation in operations for answer in operation.answers.values()]
    models: dict[type[BaseModel], None] = dict.fromkeys(
        [ProblemBody, *(model for a in answers for model in (a.model, a.event) if model is not None)]
    )
    references, whole = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    return {model: references[model, "serialization"] for model in models}, whole["$defs"]


def _operation(operation: Operation, path: str, names: Mapping[type[BaseModel], Part], *, keyed: bool) -> Part:
    alias = path != operation.path
    described: Part = {
        "operationId": _identifier(operation.method, path),
        "summary": operation.summary,
        "description": f"The same as `{operation.method} {operation.path}`." if alias else operation.description,
        "tags": [operation.tag],
        "parameters": [
            *_parameters(operation.path_model, "path"),
            *_parameters(operation.query, "query"),
            *_parameters(operation.headers, "header"),
        ],
        "responses": {
            str(status): _answer(answer, names) for status, answer in sorted(_answers(operation, keyed=keyed).items())
        },
        "security": _ANY_SCHEME if keyed else [],
    }
    return {key: value for key, value in described.items() if value or key == "security"}


def _answers(operation: Operation, *, keyed: bool) -> dict[int, Answer]:
    """What the operation itself answers, and what every one can."""
    general = {
        status: Answer(text.description, ProblemBody, headers=text.headers)
        for status, text in GENERAL.items()
        if (keyed or not text.with_key) and (operation.method == "POST" or not text.with_body)
    }
    return {**general, **operation.answers}


def _answer(answer: Answer, names: Mapping[type[BaseModel], Part]) -> Part:
    content: Part = {
        media: {"schema": names[answer.event] if media == EVENTS and answer.event else {"type": "string"}}
        for media in answer.media
    }
    if answer.model is not None:
        kind = MEDIA if issubclass(answer.model, ProblemBody) else JSON
        content = {kind: {"schema": names[answer.model]}, **content}
    headers = {**_REQUEST_ID, **answer.headers}
    shown: Part = {
        "description": answer.description,
        "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()},
    }
    return {**shown, "content": content} if content else shown


def _parameters(model: type[Parameters] | None, place: str) -> list[Part]:
    if model is None:
        return []
    required = {field.alias or name for name, field in model.model_fields.items() if field.is_required()}
    return [_parameter(name, dict(schema), place, needed=name in required) for name, schema in fields_of(model).items()]


def _parameter(name: str, schema: Part, place: str, *, needed: bool) -> Part:
    description = schema.pop("description", "")
    for unneeded in ("title", "expected"):
        schema.pop(unneeded, None)
    described: Part = {"name": name, "in": place, "required": needed, "schema": schema}
    return {**described, "description": description} if description else described


def _identifier(method: str, path: str) -> str:
    """A name that stays: `get_data_record_id` for GET /data/{record_id}."""
    words = re.sub(r"[^a-zA-Z0-9]+", "_", path).strip("_")
    return f"{method.lower()}_{words or 'root'}"
