"""What a pack's changes mean: only its own fields, only while they hold its value, never backwards."""

import pytest

from domain.desired import DesiredState, EnvironmentState, ServiceState, apply_patches
from domain.errors import Invalid, NotFound, Refused
from domain.ids import CommandId, EnvironmentId
from domain.policies import CdnPolicy, ScalingPolicy
from runtime.marketplace.meaning import pack_meaning
from runtime.marketplace.planning import install, uninstall, upgrade
from runtime.marketplace.rendering import Setting, Subject
from tests.support.packs import ACME, AT, key_of, opened_by, signed, trusting

KEY = key_of(1)


@pytest.fixture
def store(tmp_path):
    return trusting(tmp_path, KEY)


def version(store, number="0.1.0", **changed):
    return opened_by(store, signed(KEY, pack_json={'"0.1.0",\n  "summary"': f'"{number}",\n  "summary"'}, **changed))


def service(**changed):
    return ServiceState.model_validate(
        {"version": "v1", "replicas": 3, "cpu_millicores": 500, "memory_mib": 512} | changed
    )


def state(**changed):
    return EnvironmentState(services={"web": service(**changed), "api": service(), "batch": service()})


def setting(here):
    subjects = [("web", "frontend", 1), ("api", "api", 0), ("batch", "worker", 3)]
    return Setting(
        state=here,
        subjects=tuple(Subject(section="services", name=n, archetype=a, tier=t) for n, a, t in subjects),
        facts={"primary_region": "west", "paired_region": None},
        allowed_regions=("west",),
    )


def after(here, writes):
    document = DesiredState(environment=EnvironmentId("prod"), tenant=ACME, version=1, base=here)
    return apply_patches(document, writes.patches, command=CommandId("c"), at=AT).base


def put(here, name, **changed):
    changed_service = here.services[name].model_copy(update=changed)
    return here.model_copy(update={"services": {**here.services, name: changed_service}})


def test_installing_writes_and_remembers_exactly_what_it_changed(store):
    here = after(state(), install(version(store), {"level": 90}, setting(state()), ACME))
    assert here.services["web"].cdn == here.services["api"].cdn == CdnPolicy(ttl_s=90)
    assert here.services["batch"] == service()
    held = here.tenants[ACME].packs["edge"]
    assert (held.version, held.parameters) == ("0.1.0", {"level": 90})
    assert {field.path: field.before for field in held.fields} == {
        ("services", "web", "cdn"): None, ("services", "api", "cdn"): None,
    }  # fmt: skip


def test_what_would_be_written_over_is_told(store):
    here = state(cdn=CdnPolicy(ttl_s=5))
    [told] = install(version(store), {}, setting(here), ACME).overrides
    assert (told.path, told.before) == (("services", "web", "cdn"), {"ttl_s": 5})


def test_taking_it_off_gives_back_what_was_there(store):
    before = state(cdn=CdnPolicy(ttl_s=5))
    here = after(before, install(version(store), {}, setting(before), ACME))
    gone = after(here, uninstall("edge", here, ACME))
    assert gone.services == before.services
    assert gone.tenants[ACME].packs == {}


def test_what_somebody_changed_since_stays_theirs(store):
    here = after(state(), install(version(store), {}, setting(state()), ACME))
    here = put(here, "web", cdn=CdnPolicy(ttl_s=7))
    off = uninstall("edge", here, ACME)
    assert off.kept == ("services.web.cdn",)
    gone = after(here, off)
    assert (gone.services["web"].cdn, gone.services["api"].cdn) == (CdnPolicy(ttl_s=7), None)
    up = upgrade(version(store, "0.2.0"), {"level": 30}, setting(here), ACME)
    newer = after(here, up)
    assert (up.kept, newer.services["web"].cdn, newer.services["api"].cdn) == (
        ("services.web.cdn",), CdnPolicy(ttl_s=7), CdnPolicy(ttl_s=30),
    )  # fmt: skip


def test_an_upgrade_keeps_parameters_gives_up_old_fields_and_remembers_the_first_before(store):
    before = state(cdn=CdnPolicy(ttl_s=5))
    here = after(before, install(version(store), {"level": 90}, setting(before), ACME))
    narrower = version(
        store, "0.2.0", content_json={'"tiers": [\n          0,\n          1\n        ]': '"archetypes": ["frontend"]'}
    )
    newer = after(here, upgrade(narrower, {}, setting(here), ACME))
    assert (newer.services["web"].cdn, newer.services["api"].cdn) == (CdnPolicy(ttl_s=90), None)
    assert newer.tenants[ACME].packs["edge"].version == "0.2.0"
    assert after(newer, uninstall("edge", newer, ACME)).services == before.services


def test_no_version_goes_back_and_none_is_used_twice(store):
    here = after(state(), install(version(store, "0.2.0"), {}, setting(state()), ACME))
    for number, changed, reason in (
        ("0.1.9", {}, "pack_rollback"),
        ("0.2.0-rc.1", {}, "pack_rollback"),
        ("0.2.0", {"README_md": {"What it does": "What it did"}}, "pack_version_reused"),
    ):
        with pytest.raises(Refused) as found:
            upgrade(version(store, number, **changed), {}, setting(here), ACME)
        assert found.value.reason == reason
    with pytest.raises(Invalid, match="upgrade it"):
        install(version(store, "0.3.0"), {}, setting(here), ACME)


def test_two_packs_never_hold_one_field(store):
    here = after(state(), install(version(store), {}, setting(state()), ACME))
    other = opened_by(store, signed(KEY, name="other-edge"))
    with pytest.raises(Refused) as found:
        install(other, {"level": 10}, setting(here), ACME)
    assert found.value.reason == "pack_conflict"


@pytest.mark.parametrize("given", [{"level": 0}, {"level": "60"}, {"level": 60.5}, {"level": True}, {"lever": 60}])
def test_parameters_outside_the_schema(store, given):
    with pytest.raises(Invalid) as found:
        install(version(store), given, setting(state()), ACME)
    assert found.value.reason == "pack_parameters_invalid"


def test_resources_that_are_not_the_tenants(store):
    forged = version(
        store,
        content_json={'"tiers": [\n          0,\n          1\n        ]': '"names": ["portal"]'},
        tests_json={'"expect": {\n        "services/web/cdn/ttl_s": 60\n      }': '"refused": "pack_out_of_scope"'},
    )
    with pytest.raises(NotFound) as found:
        install(forged, {}, setting(state()), ACME)
    assert found.value.reason == "pack_out_of_scope"


def test_a_pack_with_nothing_to_do_is_not_installed(store):
    here = state(cdn=CdnPolicy(ttl_s=60))
    here = put(here, "api", cdn=CdnPolicy(ttl_s=60))
    with pytest.raises(Invalid) as found:
        install(version(store), {}, setting(here), ACME)
    assert found.value.reason == "pack_does_nothing"


def test_raw_writes_are_one_change_of_one_pack_or_none(store):
    here = state()
    put_in = install(version(store), {"level": 90}, setting(here), ACME)
    arguments = {"pack": "edge", "version": "0.1.0", "parameters": {"level": 90}}
    assert pack_meaning(put_in.patches, here) == ("pack.install", arguments)
    held = after(here, put_in)
    assert pack_meaning(uninstall("edge", held, ACME).patches, held)[0] == "pack.uninstall"
    assert pack_meaning(upgrade(version(store, "0.2.0"), {"level": 9}, setting(held), ACME).patches, held)[0] == (
        "pack.upgrade"
    )
    stranger = put_in.patches[0].model_copy(update={"path": ("services", "web", "replicas"), "value": 0})
    with pytest.raises(Invalid, match="its own fields"):
        pack_meaning((*put_in.patches, stranger), here)


def test_a_scaling_policy_that_is_not_there_has_no_fields(store):
    pack = opened_by(
        store,
        signed(
            KEY, kind="scaling_policy",
            content_json={'"scaling": {\n          "min_replicas": 2,\n          "max_replicas": 6,\n'
                          '          "target_cpu_utilisation": "${level}"\n        }':
                          '"scaling.target_cpu_utilisation": "${level}"'},
            tests_json={'"services/web/scaling/target_cpu_utilisation": 0.6': '"services/web/scaling": null'},
        ),
    )  # fmt: skip
    here = state(scaling=ScalingPolicy(min_replicas=2, max_replicas=4, target_cpu_utilisation=0.5))
    found = after(here, install(pack, {}, setting(here), ACME))
    assert found.services["web"].scaling.target_cpu_utilisation == 0.6
    assert found.services["api"].scaling is None


def test_a_policy_written_without_its_defaults_is_still_the_packs_own(store):
    def sizing(number, use):
        return opened_by(
            store,
            signed(
                KEY, kind="scaling_policy",
                pack_json={'"0.1.0",\n  "summary"': f'"{number}",\n  "summary"', '"default": 0.6': f'"default": {use}'},
                tests_json={"0.6": str(use)},
            ),
        )  # fmt: skip

    before = state()
    here = after(before, install(sizing("0.1.0", 0.6), {}, setting(before), ACME))
    up = upgrade(sizing("0.2.0", 0.5), {"level": 0.5}, setting(here), ACME)
    newer = after(here, up)
    assert (up.kept, newer.services["web"].scaling.target_cpu_utilisation) == ((), 0.5)
    off = uninstall("edge", newer, ACME)
    assert (off.kept, after(newer, off).services) == ((), before.services)


def test_taking_it_off_is_no_way_back_to_an_older_version(store):
    newer = after(state(), install(version(store, "0.2.0"), {}, setting(state()), ACME))
    gone = after(newer, uninstall("edge", newer, ACME))
    assert gone.tenants[ACME].packs_taken_off == {"edge": "0.2.0"}
    with pytest.raises(Refused) as found:
        install(version(store, "0.1.9"), {}, setting(gone), ACME)
    assert found.value.reason == "pack_rollback"
    again = after(gone, install(version(store, "0.2.0"), {}, setting(gone), ACME))
    assert again.tenants[ACME].packs["edge"].version == "0.2.0"
    writes = uninstall("edge", newer, ACME).patches
    lower = [p.model_copy(update={"path": ("tenants", "globex", "packs_taken_off", "edge")}) for p in writes[-1:]]
    with pytest.raises(Invalid, match="its own fields"):
        pack_meaning((*writes[:-1], *lower), newer)
