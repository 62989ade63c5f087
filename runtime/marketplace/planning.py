"""What installing, upgrading or taking off a pack means for one tenant: patches on desired state, worked out anew.

The installed pack is itself desired state and remembers each field it wrote and what stood there before. A field that
somebody changed since is theirs: neither an upgrade nor taking the pack off touches it.
"""

from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from domain.base import Frozen
from domain.changes import Patch, PatchPath
from domain.desired import EnvironmentState, PackField, PackState, read_path
from domain.errors import Invalid, NotFound, Refused
from domain.ids import TenantId
from runtime.marketplace.manifest import Scalar
from runtime.marketplace.pack import Pack
from runtime.marketplace.rendering import Setting, Wanted, chosen, rendered
from runtime.marketplace.versions import precedence


class PackWrites(Frozen):
    """The patches of one change of a pack, and what is said beside them."""

    patches: tuple[Patch, ...]
    overrides: tuple[PackField, ...] = ()
    """Fields that hold something else now and would be written over."""
    kept: tuple[str, ...] = ()
    """Dotted fields that the pack wrote once, somebody changed since, and stay as they are."""


def install(pack: Pack, given: Mapping[str, Scalar], setting: Setting, tenant: TenantId) -> PackWrites:
    """Return what puts the pack in.

    Raises Invalid where it is in already, Refused where another pack holds a field or a newer version was taken off.
    """
    here = setting.state.tenants.get(tenant)
    last = here.packs_taken_off.get(pack.manifest.name) if here else None
    if last is not None and precedence(pack.manifest.version) < precedence(last):
        raise Refused(f"{last} was taken off: {pack.manifest.version} would be a step back", reason="pack_rollback")
    if pack.manifest.name in _installed(setting.state, tenant):
        raise Invalid("the pack is installed: upgrade it", reason="pack_installed")
    return _written(pack, chosen(pack.manifest, given), setting, tenant, {})


def upgrade(pack: Pack, given: Mapping[str, Scalar], setting: Setting, tenant: TenantId) -> PackWrites:
    """Return what brings the installed pack to this version. Parameters stay as they are unless given.

    Raises Refused for an older version, for the same one with another content, and where another pack holds a field.
    """
    held = _held(setting.state, tenant, pack.manifest.name)
    now, new = precedence(held.version), precedence(pack.manifest.version)
    if new < now:
        raise Refused(
            f"{held.version} is installed: {pack.manifest.version} would be a step back", reason="pack_rollback"
        )
    if new == now and pack.digest != held.digest:
        raise Refused("the same version with another content was installed before", reason="pack_version_reused")
    kept_on = {name: value for name, value in held.parameters.items() if name in pack.manifest.parameters}
    return _written(
        pack, chosen(pack.manifest, {**kept_on, **given}), setting, tenant, {f.path: f for f in held.fields}
    )


def uninstall(name: str, state: EnvironmentState, tenant: TenantId) -> PackWrites:
    """Return what takes the pack off: every field that still holds its value gets back what was there before."""
    held = _held(state, tenant, name)
    document: JsonValue = state.model_dump(mode="json")
    ours = [f for f in held.fields if read_path(document, f.path) == f.value]
    return PackWrites(
        patches=(
            *(Patch(op="set", path=field.path, value=field.before) for field in ours),
            Patch(op="remove", path=_place(tenant, name)),
            Patch(op="set", path=_taken_off(tenant, name), value=held.version),
        ),
        kept=tuple(".".join(field.path) for field in held.fields if field not in ours),
    )


def _written(
    pack: Pack, values: dict[str, Scalar], setting: Setting, tenant: TenantId, held: Mapping[PatchPath, PackField]
) -> PackWrites:
    """Render against the state as it would be without the pack, then say only what differs from now."""
    document: JsonValue = setting.state.model_dump(mode="json")
    kept = {path for path, field in held.items() if read_path(document, path) != field.value}
    without = _with(setting, {path: f.before for path, f in held.items() if path not in kept})
    asked = {p: v for p, v in rendered(pack.content, values, without).items() if p not in kept}
    _check_free(asked, setting.state, tenant, pack.manifest.name)
    # as the document will hold it, defaults and all: by this is told later whether it is still ours
    then: JsonValue = _with(without, asked).state.model_dump(mode="json")
    wanted = {path: read_path(then, path) for path in asked}
    base: JsonValue = without.state.model_dump(mode="json")
    fields = tuple(
        PackField(path=path, value=value, before=read_path(base, path))
        for path, value in wanted.items()
        if value != read_path(base, path)
    )
    if not fields:
        raise Invalid("the pack finds nothing to do here", reason="pack_does_nothing")
    state = PackState(version=pack.manifest.version, digest=pack.digest, parameters=values, fields=fields)
    wrote = {field.path: field.value for field in fields}
    back = {path: f.before for path, f in held.items() if path not in kept and path not in wrote}
    patches = [
        Patch(op="set", path=path, value=value)
        for path, value in {**back, **wrote}.items()
        if value != read_path(document, path)
    ]
    place = _place(tenant, pack.manifest.name)
    return PackWrites(
        patches=(*patches, Patch(op="set", path=place, value=state.model_dump(mode="json"))),
        overrides=tuple(f for f in fields if f.before is not None and f.path not in held),
        kept=tuple(".".join(path) for path in sorted(kept)),
    )


def _with(setting: Setting, fields: Wanted) -> Setting:
    """Return the setting with fields written. Raises Invalid where they do not fit it."""
    document = setting.state.model_dump(mode="json")
    for (section, name, *keys), value in fields.items():
        node = document[section][name]
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value
    try:
        return setting.model_copy(update={"state": EnvironmentState.model_validate(document)})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Invalid(f"the pack's values do not fit: {where}: {first['msg']}", reason="patch_invalid") from error


def _check_free(wanted: Wanted, state: EnvironmentState, tenant: TenantId, name: str) -> None:
    """Two packs never write the same field, nor one inside the other's."""
    taken = {f.path: other for other, pack in _installed(state, tenant).items() if other != name for f in pack.fields}
    for path in wanted:
        for theirs, other in taken.items():
            if path[: len(theirs)] == theirs or theirs[: len(path)] == path:
                raise Refused(f"{'.'.join(path)} is held by the pack {other}", reason="pack_conflict")


def _installed(state: EnvironmentState, tenant: TenantId) -> Mapping[str, PackState]:
    here = state.tenants.get(tenant)
    return here.packs if here else {}


def _held(state: EnvironmentState, tenant: TenantId, name: str) -> PackState:
    if (held := _installed(state, tenant).get(name)) is None:
        raise NotFound("no such pack is installed", reason="pack_not_installed")
    return held


def _taken_off(tenant: str, name: str) -> PatchPath:
    """Return where the version of a pack that was taken off stands."""
    return ("tenants", tenant, "packs_taken_off", name)


def _place(tenant: TenantId, name: str) -> PatchPath:
    return ("tenants", tenant, "packs", name)
