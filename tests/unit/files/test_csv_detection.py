"""Detection: encoding, dialect, preamble and header, found from a sample of bytes."""

from __future__ import annotations

import pytest

from kasparro_adapters.files.detect import ReadingRules, detect_layout
from kasparro_adapters.files.dialect import Dialect, scan, split_lines
from kasparro_adapters.files.encoding import detect_encoding, is_readable
from kasparro_adapters.files.facts import Layout
from kasparro_adapters.files.sniff import detect_dialect

TABLE = "date,close,volume\n2024-01-01,1.5,10\n2024-01-02,1.6,\n2024-01-03,1.7,30\n"


def layout(text: str | bytes, **rules: object) -> Layout:
    data = text.encode() if isinstance(text, str) else text
    return detect_layout(data, ReadingRules(**rules), complete=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (b"\xef\xbb\xbfa,b", "utf-8"),
        (b"\xff\xfea\0", "utf-16-le"),
        (b"\xfe\xff\0a", "utf-16-be"),
        (b"\xff\xfe\0\0a\0\0\0", "utf-32-le"),
        ("a,b\n1,2\n".encode("utf-16-le"), "utf-16-le"),
        ("a,b\n1,2\n".encode("utf-16-be"), "utf-16-be"),
        (b"plain", "utf-8"),
        (b"", "utf-8"),
        ("naïve €".encode(), "utf-8"),
        ("Último;Mínima\n39,5;€\n".encode("cp1252"), "cp1252"),
        (("é€ü" * 40).encode() + b"\xff", "utf-8"),
    ],
)
def test_encodings(sample: bytes, expected: str) -> None:
    """Marks first, then the NUL pattern, then UTF-8, also with a few broken places, and cp1252 at the end."""
    assert detect_encoding(sample) == expected


def test_a_mark_beats_a_declaration_and_a_declaration_beats_the_bytes() -> None:
    """The mark is a fact about this file, the declaration one about all files of the source."""
    assert detect_encoding(b"\xef\xbb\xbfa", "cp1252") == "utf-8"
    assert detect_encoding(b"abc", "cp1251") == "cp1251"
    assert detect_encoding(b"a\0b\0", "utf-16") == "utf-16-le"


def test_a_sample_may_end_inside_a_character() -> None:
    """A cut in a multi-byte character does not make UTF-8 look broken; a broken one in the middle does."""
    sample = "é".encode()[:1]
    assert detect_encoding(b"aa" + sample) == "utf-8"
    assert detect_encoding(b"aa" + sample + b"aa") != "utf-8"


@pytest.mark.parametrize("name", ["cp037", "utf-7", "base64"])
def test_encodings_that_cannot_be_cut_into_lines_are_not_offered(name: str) -> None:
    """EBCDIC, stateful and byte-to-byte codecs are refused."""
    assert not is_readable(name)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "~", "^"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(delimiter: str, end: str) -> None:
    """Common and uncommon delimiters are found under every line end."""
    found = layout(TABLE.replace(",", delimiter).replace("\n", end))
    assert (found.dialect.delimiter, found.header, found.skip) == (delimiter, ("date", "close", "volume"), 1)


def test_a_decimal_comma_does_not_pass_for_a_delimiter() -> None:
    """`1,5;2,5` has two columns."""
    assert detect_dialect("a;b\n1,5;2,5\n3,5;4,5\n").delimiter == ";"


def test_delimiters_inside_quotes_do_not_count() -> None:
    """Cells full of other delimiters, kept together by quotes."""
    assert detect_dialect('a,b\n"x;y;z","p;q;r"\n"1;2;3","4;5;6"\n') == Dialect(",", '"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n'x,1','y'\n'z,2','w'\n", Dialect(",", "'")),
        ('a,b\n"x \\"q\\", 1","y"\n"z \\"r\\", 2","w"\n', Dialect(",", '"', "\\")),
        ('a, b, c\n1, "x, y", 3\n4, "z, w", 6\n', Dialect(",", '"', None, skip_space=True)),
        ("it's,b\ndon't,2\nwon't,3\n", Dialect(",", '"')),
        ("one column\nof words\n", Dialect(",", '"')),
        ("", Dialect(",", '"')),
    ],
)
def test_quotes_escapes_and_blanks(text: str, expected: Dialect) -> None:
    """Quote characters, backslashes in front of quotes, and blanks behind delimiters are part of the dialect."""
    assert detect_dialect(text) == expected


def test_declared_parts_are_kept() -> None:
    """A declaration wins over what the bytes look like."""
    assert detect_dialect(TABLE, delimiter=";").delimiter == ";"
    assert detect_dialect('a,b\n"1,2\n', quote="").quote is None
    assert layout(TABLE, header=False).header == ("column_1", "column_2", "column_3")
    assert layout("1,2\n3,4\n", header=True).header == ("1", "2")
    assert layout("x\ny\n" + TABLE, skip_lines=2).skip == 3


@pytest.mark.parametrize(
    ("preamble", "lines"),
    [
        ("https://www.example.com\n", 1),
        ("\n\n", 2),
        ("# made by a tool, on a day\n# second\n", 2),
        ("Report of the year\n\n", 2),
        ("PREAMBLE,,\n,,\n", 2),
        ("one\ntwo\nthree\nfour\n", 4),
        ("\ufeffhttps://www.example.com\n", 1),
    ],
)
def test_what_stands_in_front_of_the_table_is_skipped(preamble: str, lines: int) -> None:
    """Banners, empty lines, comments and nearly empty rows are no header."""
    found = layout(preamble + TABLE)
    assert (found.header, found.skip) == (("date", "close", "volume"), lines + 1)


@pytest.mark.parametrize(
    "text",
    [
        "1364774820000,93.25,93.3\n1364774880000,93.3,93.3\n",
        "\n2009-01-09,,,0\n2009-01-10,,,0\n",
        "BTC,2024-01-01,1\nETH,2024-01-01,2\n",
    ],
)
def test_rows_of_values_are_no_header(text: str) -> None:
    """A first row with numbers or dates in it is data; columns are numbered, and nothing but empty lines is skipped."""
    found = layout(text)
    assert found.header[0] == "column_1"
    assert found.skip == len(text) - len(text.lstrip("\n"))


def test_a_comment_may_be_the_header() -> None:
    """Scientific files name their columns in the last comment line."""
    found = layout("# a tool made this\n# energy,flux\n0.0,1.5\n0.1,2.5\n")
    assert (found.header, found.skip) == (("# energy", "flux"), 2)


def test_a_banner_may_have_as_many_cells_as_the_table() -> None:
    """Sentences over names over values: the names are the header."""
    found = layout("Created as a new data set,Sample 022 taken on a Saturday\ncm-1,%T\n4000.0,98.7\n3999.0,98.6\n")
    assert (found.header, found.skip) == (("cm-1", "%T"), 2)


def test_years_may_name_columns() -> None:
    """`Country,1990,1991` is a header."""
    assert layout("Country,1990,1991\nFrance,5.5,6.5\nSpain,7.5,8.5\n").header == ("Country", "1990", "1991")


def test_declared_columns_name_a_file_without_header_and_rename_one_with() -> None:
    """`columns` replace the names; a header row is not read as data."""
    names = ("x", "y", "z")
    assert layout("1,2,3\n4,5,6\n", columns=names) == Layout("utf-8", Dialect(), names, 0)
    assert layout(TABLE, columns=names) == Layout("utf-8", Dialect(), names, 1)


def test_a_stray_quote_does_not_swallow_the_rows_up_to_the_next_one() -> None:
    """A row over several lines that fits no table gives up its first line when one of the others is a row."""
    lines = split_lines('1,2\n"3,4\n5,6\n7,8\n9,"10"\n')
    rows = [row.cells for row in scan(lines, Dialect(), width=2)]
    assert rows == [["1", "2"], None, ["5", "6"], ["7", "8"], ["9", "10"]]


@pytest.mark.parametrize("header", ['"day","lo"","hi"', '"day","lo,"hi"', '"day","lo","hi""', '"day","lo","hi'])
def test_a_stray_quote_in_the_header_swallows_no_column(header: str) -> None:
    """The header has as many names as the table has columns, and no row of data is taken for it or lost to it."""
    found = layout(header + "\n" + '"mon","1",""\n"tue","2",""\n' * 3)
    assert (found.header, found.skip) == (("day", "lo", "hi"), 1)


def test_a_delimiter_in_a_quoted_name_is_no_stray_quote() -> None:
    """A narrow header over rows with a trailing delimiter stays as it is."""
    assert layout('"low, high",day\n1,mon,\n2,tue,\n3,wed,\n').header == ("low, high", "day")
