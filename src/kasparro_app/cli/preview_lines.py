"""How `kasparro preview` shows what it reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from kasparro_app.cli.exits import say
from kasparro_app.cli.output import cell, print_table

if TYPE_CHECKING:
    from kasparro_core.services.preview import PreviewBatch

_NOTES_SHOWN = 5
_COLUMNS = ("key", "kind", "external_id", "title", "symbol", "value", "currency", "occurred_at", "attributes")
_UNSAID = ("external_id", "title", "symbol", "value", "currency", "occurred_at")


class Printer(ABC):
    """Shows batches; counts what it shows. Notes on single values go to standard error."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.items = self.records = self.rejected = self.notes = 0

    def show(self, batch: PreviewBatch, most: int) -> int:
        """Show at most so many items (records and rejections) of a batch, in payload order; returns how many."""
        lines = list(self.raw(batch) if self.stage == "raw" else self.normalized(batch))[:most]
        for line in lines:
            self.emit(line)
        if self.stage == "record":
            self._note(batch)
        self.items += len(lines)
        self.records += sum("rejection" not in line for line in lines)
        return len(lines)

    def raw(self, batch: PreviewBatch) -> list[dict[str, Any]]:
        """Items as they were read."""
        items = [(item.index, dict(item.data)) for item in batch.batch.items]
        refused = [(one.index, _refusal(one)) for one in batch.batch.rejections]
        return [line for _, line in sorted([*items, *refused], key=lambda pair: pair[0])]

    def normalized(self, batch: PreviewBatch) -> list[dict[str, Any]]:
        """Records and rejections."""
        from kasparro_app.views import record_view

        made = batch.normalized
        records = [(at, record_view(record)) for at, record in zip(made.indexes, made.records, strict=True)]
        refused = [(one.index, _refusal(one)) for one in batch.rejections]
        return [line for _, line in sorted([*records, *refused], key=lambda pair: pair[0])]

    @abstractmethod
    def emit(self, line: dict[str, Any]) -> None:
        """Show one line."""

    def end(self) -> None:
        """Everything was shown."""
        if self.notes > _NOTES_SHOWN:
            say(f"note: {self.notes - _NOTES_SHOWN} more values could not be understood and became null")

    def _note(self, batch: PreviewBatch) -> None:
        for note in batch.normalized.notes:
            self.notes += 1
            if self.notes <= _NOTES_SHOWN:
                say(f"note: item {note.index + 1}: {note.path}: {note.message}")


class JsonPrinter(Printer):
    """One JSON object a line on standard output, and nothing else there."""

    def emit(self, line: dict[str, Any]) -> None:
        """One JSON object a line."""
        from kasparro_app.views import json_object

        print(json_object(line))


class TablePrinter(Printer):
    """A table on standard output, rejections on standard error."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self._lines: list[dict[str, Any]] = []

    def emit(self, line: dict[str, Any]) -> None:
        """Gather: a table needs its widths."""
        if "rejection" in line:
            refused = line["rejection"]
            say(f"rejected: item {refused['index'] + 1}: {refused['code']}: {refused['path']}: {refused['message']}")
        else:
            self._lines.append(line)

    def end(self) -> None:
        """The table, and a line that sums it up."""
        super().end()
        columns = self._columns()
        if self._lines:
            print_table(columns, [[cell(line.get(column), limit=40) for column in columns] for line in self._lines])
        say(f"{self.items} items: {self.records} records, {self.items - self.records} rejected; nothing was stored.")

    def _columns(self) -> list[str]:
        if self.stage == "raw":
            return list(dict.fromkeys(key for line in self._lines for key in line))
        said = {key for line in self._lines for key in _UNSAID if line.get(key) is not None}
        return [column for column in _COLUMNS if column not in _UNSAID or column in said]


def _refusal(rejection: Any) -> dict[str, Any]:
    from kasparro_core.model import rejection_json

    return {"rejection": dict(rejection_json(rejection))}
