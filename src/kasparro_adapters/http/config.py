"""What a person may say about an HTTP source."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from kasparro_adapters.http.backfill import BackfillOptions
from kasparro_adapters.http.incremental import IncrementalOptions
from kasparro_adapters.http.presets import resolve_preset
from kasparro_adapters.http.urls import TELLING, is_sensitive, parse_url
from kasparro_core.config import ApiKeyAuth, FetchOptions, SourceConfig, Strict

Name = Annotated[str, Field(min_length=1)]


class _Paging(Strict):
    """`max_pages` bounds one walk over the source; more is an error, never a silent end."""

    max_pages: int = Field(default=10_000, ge=1)


class _SizedPaging(_Paging):
    """`size` items are asked for through the parameter `size_param`; without one the upstream's own size holds."""

    size_param: Name | None = None
    size: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _size_to_send(self) -> _SizedPaging:
        if self.size_param is not None and self.size is None:
            raise ValueError("`size_param` needs `size`: how many items to ask for")
        return self

    def size_params(self) -> dict[str, str]:
        """The query parameters that ask for `size` items."""
        return {self.size_param: str(self.size)} if self.size_param else {}


class _CountedPaging(_SizedPaging):
    """The walk ends at an empty page and, with `stop = "short"`, at one of fewer than `size` items.

    A first page that is short by a round number (100, 250 ...) is taken for an upstream that lowered `size` on its
    own: one more page is asked for to tell.
    """

    stop: Literal["short", "empty"] = "short"


class NoPaging(_Paging):
    """One request gives everything."""

    type: Literal["none"] = "none"


class PagePaging(_CountedPaging):
    """Pages by number."""

    type: Literal["page"]
    param: Name = "page"
    start: int = Field(default=1, ge=0)


class OffsetPaging(_CountedPaging):
    """Pages by the number of items before them."""

    type: Literal["offset"]
    param: Name = "offset"
    size_param: Name | None = "limit"
    size: int | None = Field(default=100, ge=1)
    start: int = Field(default=0, ge=0)


class CursorPaging(_SizedPaging):
    """Each body names the next page's token at `path`; absent, null, false or "" ends the walk, as does a false value
    at `more`."""

    type: Literal["cursor"]
    path: Name
    param: Name = "cursor"
    more: Name | None = None


class NextLinkPaging(_SizedPaging):
    """Each body holds the next page's address (absolute or relative, same origin) at `path`."""

    type: Literal["next_link"]
    path: Name


class LinkHeaderPaging(_SizedPaging):
    """Each answer's Link header names the next page (RFC 8288, rel="next")."""

    type: Literal["link_header"]


Paginate = Annotated[
    NoPaging | PagePaging | OffsetPaging | CursorPaging | NextLinkPaging | LinkHeaderPaging, Field(discriminator="type")
]


class HttpSourceConfig(SourceConfig, FetchOptions):
    """A source of `type = "http"`.

    `preset` fills what is not said here (see `presets.py`). `records` is the dotted path of the array in the body;
    absent: the body itself. With `when_fresh = "wait"` timed runs wait until the answers are stale by their own
    account.
    """

    type: Literal["http"]
    preset: str | None = None
    url: str
    records: Name | None = None
    paginate: Paginate = NoPaging()
    incremental: IncrementalOptions | None = None
    backfill: BackfillOptions | None = None
    when_fresh: Literal["ask", "wait"] = "ask"

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: Any) -> Any:
        return resolve_preset(given) if isinstance(given, dict) else given

    @field_validator("url")
    @classmethod
    def _usable(cls, text: str) -> str:
        url = parse_url(text.strip())
        if url.user is not None or url.password is not None:
            raise ValueError('user and password do not belong into the address; use `auth = { type = "basic", ... }`')
        return text.strip()

    @model_validator(mode="after")
    def _old_is_told_from_new(self) -> HttpSourceConfig:
        dated = self.mapping is not None and self.mapping.occurred_at is not None
        if self.backfill is None or self.backfill.state is not None or dated or self.kind == "article":
            return self
        raise ValueError(
            "`backfill` of a source whose mapping has no `occurred_at` needs `state`: without a time of its own, "
            'what a past window holds is not told from what is newer. "now": each thing as it is today, or its time '
            'is part of its key; "then": each as it was at the end of the window, so that newer states stay'
        )

    def marks_gone(self, kind: str) -> bool:
        """Of a source with past windows only when asked to: it has records that its live listing need not show."""
        return super().marks_gone(kind) and (self.backfill is None or self.mark_gone is True)

    @property
    def secret_param_names(self) -> frozenset[str]:
        """Names of the query parameters that carry a secret: by what `auth` says, or by their names."""
        query = {self.auth.query} if isinstance(self.auth, ApiKeyAuth) and self.auth.query else set()
        return frozenset(query | {name for name in self.params if is_sensitive(name)})

    @property
    def secret_values(self) -> frozenset[str]:
        """What no address may hold, under whatever name an upstream sends it back. A value of a few signs may be
        anything, a page number too."""
        params = (str(value) for name, value in self.params.items() if is_sensitive(name))
        secrets = [*params, *(value.rpartition(" ")[2] for part in self._secrets() for value in part.values())]
        return frozenset(secret for secret in secrets if len(secret) >= TELLING)
