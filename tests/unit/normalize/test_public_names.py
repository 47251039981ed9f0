"""The package's own names: there for everybody, paid for when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kasparro_core


def test_every_public_name_is_there():
    """All of `__all__` can be imported, is listed, and an unknown name is an ordinary AttributeError."""
    for name in kasparro_core.__all__:
        assert getattr(kasparro_core, name) is not None
    assert set(kasparro_core.__all__) <= set(dir(kasparro_core))
    with pytest.raises(AttributeError, match="nonsense"):
        kasparro_core.nonsense  # noqa: B018


@pytest.mark.parametrize(
    "first",
    ["", "import kasparro_core.normalize.compiler", "import kasparro_core.model", "from kasparro_core import *"],
)
def test_normalize_is_the_function_in_every_order_of_imports(first):
    """The package `kasparro_core.normalize` never hides the function, whatever is imported first."""
    code = (
        f"{first}\nfrom kasparro_core import RecordMapping, normalize\nimport kasparro_core.normalize.paths\n"
        "assert kasparro_core.normalize is normalize\n"
        "records, rejections = normalize([{'id': 1}, {}], RecordMapping(source='s', key='id'))\n"
        "assert (len(records), len(rejections)) == (1, 1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_bare_import_needs_no_pydantic():
    """`import kasparro_core` alone is cheap: it loads neither pydantic nor the compiler."""
    code = "import sys, kasparro_core\nassert not {'pydantic', 'kasparro_core.normalize.compiler'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
