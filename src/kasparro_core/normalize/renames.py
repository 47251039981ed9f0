"""Kind `rename`: a source has given something another id. `of` names the source, `external_id` is the new id and
`occurred_at` when it was changed."""

from __future__ import annotations

from pydantic import BaseModel

from kasparro_core.normalize.kinds import register_kind


class RenameAttributes(BaseModel):
    """The declared attributes of a rename. None may be missing."""

    of: str
    old_id: str
    new_id: str


register_kind("rename", RenameAttributes)
