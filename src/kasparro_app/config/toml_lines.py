"""On which line of a TOML text each key stands (tomllib does not tell)."""

from __future__ import annotations

from kasparro_app.config.paths import KeyPath

_BARE_END = frozenset(",]}\n#")
_BLANK = frozenset(" \t\r")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of every key, table header and array element of a TOML text that tomllib has accepted.

    A table that is named by a longer header alone (`[a.b]` names `a`) stands where it is first named.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.lines: dict[KeyPath, int] = {}
        self._tables: dict[KeyPath, int] = {}

    def document(self) -> None:
        base: KeyPath = ()
        self._blank(newlines=True)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                base = self._header()
            else:
                self._pair(base)
            self._blank(newlines=True)

    def _header(self) -> KeyPath:
        is_array = self.text.startswith("[[", self.at)
        width = 2 if is_array else 1
        self._forward(width)
        path = self._inside_arrays(self._keys())
        self._forward(width)
        if is_array:
            number = self._tables.get(path, 0)
            self._tables[path] = number + 1
            self._note(path)
            path = (*path, number)
        self._note(path)
        return path

    def _inside_arrays(self, keys: KeyPath) -> KeyPath:
        """A header below an array of tables means the array's latest table."""
        path: KeyPath = ()
        for key in keys[:-1]:
            path = (*path, key)
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        return (*path, keys[-1])

    def _pair(self, base: KeyPath) -> None:
        line = self.line
        path = (*base, *self._keys())
        self._note(path, line)
        self._forward(1)
        self._value(path)

    def _note(self, path: KeyPath, line: int | None = None) -> None:
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line or self.line)

    def _keys(self) -> KeyPath:
        """A dotted key; stops at `=` or `]`."""
        keys = []
        while True:
            self._blank()
            keys.append(self._key())
            self._blank()
            if self.text[self.at] != ".":
                return tuple(keys)
            self._forward(1)

    def _key(self) -> str:
        start = self.at
        if self.text[start] in "\"'":
            self._string()
            return self.text[start + 1 : self.at - 1]
        while self.text[self.at] not in " \t.=]":
            self.at += 1
        return self.text[start : self.at]

    def _value(self, path: KeyPath) -> None:
        self._blank()
        match self.text[self.at]:
            case '"' | "'":
                self._string()
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case _:
                while self.at < len(self.text) and self.text[self.at] not in _BARE_END:
                    self.at += 1

    def _array(self, path: KeyPath) -> None:
        self._forward(1)
        number = 0
        while True:
            self._blank(newlines=True, commas=True)
            if self.text[self.at] == "]":
                return self._forward(1)
            self._note((*path, number))
            self._value((*path, number))
            number += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._forward(1)
        while True:
            self._blank(newlines=True, commas=True)
            if self.text[self.at] == "}":
                return self._forward(1)
            self._pair(path)

    def _string(self) -> None:
        quote = self.text[self.at]
        fence = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self._forward(len(fence))
        while not self.text.startswith(fence, self.at):
            self._forward(2 if quote == '"' and self.text[self.at] == "\\" else 1)
        self._forward(len(fence))
        while len(fence) == 3 and self.text.startswith(quote, self.at):  # up to two quotes may stand before the end
            self._forward(1)

    def _blank(self, *, newlines: bool = False, commas: bool = False) -> None:
        """Skip spaces and comments, and line ends and commas where they mean nothing."""
        while self.at < len(self.text):
            sign = self.text[self.at]
            if sign == "#":
                while self.at < len(self.text) and self.text[self.at] != "\n":
                    self.at += 1
            elif sign in _BLANK or (newlines and sign == "\n") or (commas and sign == ","):
                self._forward(1)
            else:
                return

    def _forward(self, signs: int) -> None:
        self.line += self.text.count("\n", self.at, self.at + signs)
        self.at += signs
