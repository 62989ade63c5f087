"""What a raw write means where it touches an installed pack: the one command whose writes all of it are.

Fields beside the pack's own record must be fields that this record, or the one before it, names.
"""

from collections.abc import Sequence

from pydantic import JsonValue, ValidationError

from domain.arguments import PackChange
from domain.changes import Patch
from domain.desired import EnvironmentState, PackState
from domain.errors import Invalid
from domain.packs import PackCommand

RECORD = 4
"""Length of the path ("tenants", tenant, "packs", name)."""


def is_pack_record(patch: Patch) -> bool:
    """Tell whether a write sets or removes the record of an installed pack."""
    return len(patch.path) == RECORD and patch.path[0] == "tenants" and patch.path[2] == "packs"


def pack_meaning(patches: Sequence[Patch], state: EnvironmentState) -> tuple[PackCommand, dict[str, JsonValue]]:
    """Return kind and arguments. Raises Invalid where the writes are more than one change of one pack."""
    records = [patch for patch in patches if is_pack_record(patch)]
    record, (_, tenant, _, name) = records[0], records[0].path
    here = state.tenants.get(tenant)
    before = here.packs.get(name) if here else None
    try:
        after = None if record.op == "remove" else PackState.model_validate(record.value)
    except ValidationError as error:
        raise Invalid("the record of the pack does not fit its form", reason="arguments_invalid") from error
    named = {field.path for pack in (before, after) if pack is not None for field in pack.fields}
    if after is None:
        named.add(("tenants", tenant, "packs_taken_off", name))
    beside = [patch for patch in patches if patch is not record]
    if any(patch.override_until is not None for patch in patches) or any(p.path not in named for p in beside):
        raise Invalid("one write is one command: a pack changes its own fields only", reason="not_one_command")
    if after is None:
        return "pack.uninstall", PackChange(pack=name).model_dump(mode="json")
    change = PackChange(pack=name, version=after.version, parameters=after.parameters)
    return "pack.install" if before is None else "pack.upgrade", change.model_dump(mode="json")
