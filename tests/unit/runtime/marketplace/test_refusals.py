"""Every way in which a pack can be wrong, forged one at a time; the same pack unforged is opened."""

import base64
import json
import os
import stat
import tarfile
import zipfile

import pytest

from domain.base import canonical_json
from domain.errors import Invalid, NotFound, Refused
from runtime.marketplace import envelope
from runtime.marketplace.bundle import read_bundle, write_bundle
from runtime.marketplace.manifest import MAX_FILE_BYTES, MAX_FILES, safe_path
from runtime.marketplace.publishing import published
from runtime.marketplace.shelf import Shelf
from tests.support.packs import ACME, AT, ENVELOPE, key_of, opened_by, signed, source, trusting, write

KEY = key_of(1)


@pytest.fixture
def store(tmp_path):
    return trusting(tmp_path, KEY)


def refused(reason, family, call, *args, **options):
    with pytest.raises(family) as found:
        call(*args, **options)
    assert found.value.reason == reason


def resigned(bundle, change, key=KEY):
    """The bundle with its manifest changed and signed again: what only a publisher can do."""
    manifest = json.loads(base64.b64decode(json.loads(bundle[ENVELOPE])["payload"]))
    return bundle | {ENVELOPE: envelope.sign(canonical_json(change(manifest)), key)}


def test_a_good_pack_opens(store):
    pack = opened_by(store, signed(KEY))
    assert (pack.manifest.name, pack.manifest.version, pack.publisher) == ("edge", "0.1.0", "maker")


def test_unsigned(store):
    bundle = signed(KEY)
    refused("pack_unsigned", Refused, opened_by, store, {n: r for n, r in bundle.items() if n != ENVELOPE})
    emptied = json.loads(bundle[ENVELOPE]) | {"signatures": []}
    refused("pack_unsigned", Refused, opened_by, store, bundle | {ENVELOPE: json.dumps(emptied).encode()})


def test_unknown_signer(store):
    refused("pack_signer_unknown", Refused, opened_by, store, signed(key_of(2)))


def test_a_stolen_key_id_is_only_a_hint(store):
    bundle = signed(key_of(2))
    sealed = json.loads(bundle[ENVELOPE])
    sealed["signatures"][0]["keyid"] = envelope.key_id(KEY.public_key().public_bytes_raw())
    refused("pack_signer_unknown", Refused, opened_by, store, bundle | {ENVELOPE: json.dumps(sealed).encode()})


def test_revoked_key(store):
    bundle = signed(KEY)
    opened_by(store, bundle)
    store.revoke(ACME, "maker", AT)
    refused("pack_key_revoked", Refused, opened_by, store, bundle)


def test_another_tenant_trusts_nobody_yet(store):
    refused("pack_signer_unknown", Refused, opened_by, store, signed(KEY), tenant="globex")


def test_tampered_file(store):
    bundle = signed(KEY)
    worse = bundle["content.json"].replace(b'"cdn"', b'"waf"')
    assert worse != bundle["content.json"]
    refused("pack_tampered", Refused, opened_by, store, bundle | {"content.json": worse})


def test_tampered_manifest(store):
    bundle = signed(KEY)
    sealed = json.loads(bundle[ENVELOPE])
    payload = base64.b64decode(sealed["payload"]).replace(b'"0.1.0"', b'"9.1.0"', 1)
    sealed["payload"] = base64.b64encode(payload).decode()
    refused("pack_signer_unknown", Refused, opened_by, store, bundle | {ENVELOPE: json.dumps(sealed).encode()})


def test_a_draft_that_says_something_else_than_what_was_signed(store):
    bundle = resigned(signed(KEY), lambda m: m | {"summary": "Harmless."})
    refused("pack_tampered", Refused, opened_by, store, bundle)


def test_another_payload_type(store):
    bundle = signed(KEY)
    sealed = json.loads(bundle[ENVELOPE]) | {"payloadType": "text/plain"}
    refused("pack_type_unknown", Refused, opened_by, store, bundle | {ENVELOPE: json.dumps(sealed).encode()})


def test_what_was_signed_as_another_type_is_no_pack(store):
    """The same bytes, signed by the trusted key for something else, and relabelled: the type is in what is signed."""
    bundle = signed(KEY)
    sealed = json.loads(bundle[ENVELOPE])
    payload = base64.b64decode(sealed["payload"])
    elsewhere = KEY.sign(envelope.pae("application/vnd.in-toto+json", payload))
    sealed["signatures"] = [{"sig": base64.b64encode(elsewhere).decode()}]
    refused("pack_signer_unknown", Refused, opened_by, store, bundle | {ENVELOPE: json.dumps(sealed).encode()})
    bare = KEY.sign(payload)  # as a tool without the encoding would have signed it
    sealed["signatures"] = [{"sig": base64.b64encode(bare).decode()}]
    refused("pack_signer_unknown", Refused, opened_by, store, bundle | {ENVELOPE: json.dumps(sealed).encode()})


def test_lengths_in_what_is_signed_cannot_be_shifted():
    """Type and payload that read the same one after the other are two messages."""
    assert envelope.pae("a", b" 1 b") != envelope.pae("a 4", b"b")


def test_a_key_that_only_another_tenant_trusts_or_that_one_of_two_signers_lost(store):
    theirs = key_of(2)
    store.trust("globex", "theirs", theirs.public_key().public_bytes_raw(), AT)
    refused("pack_signer_unknown", Refused, opened_by, store, signed(theirs))
    assert opened_by(store, signed(theirs), tenant="globex").publisher == "theirs"
    both, other = signed(KEY), signed(theirs)
    sealed = json.loads(both[ENVELOPE])
    sealed["signatures"] += json.loads(other[ENVELOPE])["signatures"]
    two = both | {ENVELOPE: json.dumps(sealed).encode()}
    assert opened_by(store, two).publisher == "maker"
    store.revoke(ACME, "maker", AT)
    refused("pack_key_revoked", Refused, opened_by, store, two)
    assert opened_by(store, two, tenant="globex").publisher == "theirs"


def test_the_name_in_the_folder_is_the_name_that_was_signed(store, tmp_path):
    renamed = source(name="edge")
    renamed["pack.json"] = renamed["pack.json"].replace(b'"edge"', b'"waf"')
    bundle = signed(KEY) | {"pack.json": renamed["pack.json"]}
    refused("pack_tampered", Refused, opened_by, store, bundle)
    write(signed(KEY), tmp_path / "shelf" / "waf" / "0.1.0")
    shelf = Shelf(store, tmp_path / "shelf", running="0.1.0")
    refused("pack_misplaced", Refused, shelf.open, ACME, "waf", "0.1.0")


def test_two_entries_of_one_name(tmp_path):
    """Readers differ in which of the two they believe."""
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("README.md", "READMF.md"):
            archive.writestr(name, name.encode())
    path.write_bytes(path.read_bytes().replace(b"READMF.md", b"README.md"))
    refused("pack_path_unsafe", Refused, read_bundle, path)


def test_a_name_that_differs_between_the_entry_and_the_directory(tmp_path):
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README.md", b"x")
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"README.md", b"README.mx", 1))
    refused("pack_archive_invalid", Invalid, read_bundle, path)


def test_links_between_folders_and_at_the_shelf(store, tmp_path):
    folder = write(signed(KEY), tmp_path / "p")
    (tmp_path / "secret").mkdir()
    (folder / "docs").symlink_to(tmp_path / "secret", target_is_directory=True)
    refused("pack_link", Refused, read_bundle, folder)
    write(signed(KEY), tmp_path / "elsewhere")
    (tmp_path / "shelf" / "edge").mkdir(parents=True)
    (tmp_path / "shelf" / "edge" / "0.1.0").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    shelf = Shelf(store, tmp_path / "shelf", running="0.1.0")
    refused("pack_link", Refused, shelf.open, ACME, "edge", "0.1.0")
    for name in ("..", "../edge", "edge/../edge"):
        refused("notfound", NotFound, shelf.open, ACME, name, "0.1.0")


def test_a_size_that_lies_and_other_archives(tmp_path):
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"0" * (8 * MAX_FILE_BYTES))
    big = (8 * MAX_FILE_BYTES).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(big, (10).to_bytes(4, "little")))
    with pytest.raises((Refused, Invalid)):
        read_bundle(path)
    with tarfile.open(tmp_path / "p.tar.gz", "w:gz") as archive:
        archive.add(write({"a": b"0" * MAX_FILE_BYTES}, tmp_path / "t"), "x")
    refused("pack_archive_invalid", Invalid, read_bundle, tmp_path / "p.tar.gz")


def test_extra_and_missing_files(store):
    bundle = signed(KEY)
    refused("pack_file_extra", Refused, opened_by, store, bundle | {"run.sh": b"rm -rf"})
    without = {n: r for n, r in bundle.items() if n != "tests.json"}
    refused("pack_file_missing", Refused, opened_by, store, without)


def test_signed_manifest_with_unknown_fields_or_in_another_form(store):
    bundle = signed(KEY)
    refused("pack_manifest_invalid", Invalid, opened_by, store, resigned(bundle, lambda m: m | {"hook": "x"}))
    manifest = json.loads(base64.b64decode(json.loads(bundle[ENVELOPE])["payload"]))
    loose = bundle | {ENVELOPE: envelope.sign(json.dumps(manifest, indent=1).encode(), KEY)}
    refused("pack_manifest_invalid", Invalid, opened_by, store, loose)


@pytest.mark.parametrize("running", ["0.0.9", "1.0.0", "2.3.1"])
def test_outside_the_compatible_range(store, running):
    refused("pack_incompatible", Refused, opened_by, store, signed(KEY), running=running)


def test_content_of_another_kind():
    wrong = source(content_json={'"cdn"': '"replicas"'})
    refused("pack_kind_mismatch", Refused, published, wrong, KEY)
    signed_anyway = source(kind="scaling_policy", content_json={'"scaling"': '"ingress_from"'})
    refused("pack_kind_mismatch", Refused, published, signed_anyway, KEY)


def test_content_that_refers_to_nothing_or_leaves_a_parameter_idle():
    refused("pack_content_invalid", Invalid, published, source(content_json={"${level}": "${lever}"}), KEY)
    refused("pack_content_invalid", Invalid, published, source(content_json={'"${level}"': "60"}), KEY)


def test_a_pack_whose_own_tests_fail_is_not_published():
    refused("pack_tests_failed", Invalid, published, source(tests_json={'ttl_s": 60': 'ttl_s": 61'}), KEY)


@pytest.mark.parametrize(
    "name",
    [
        "../x", "a/../../x", "/etc/passwd", "a\\b", "C:x", "a\x00b", "a//b", "./a", "a/", ".hidden", "a.", "a b", "",
        "a/b/c/d/e", "x" * 65, "nul", "docs/CON.txt", "com1.json", "\uff41.json", "a\u202eb", "a\u200b", "e\u0301.md",
    ],
)  # fmt: skip
def test_names_that_could_leave_the_folder_or_hide_in_it(name):
    with pytest.raises(ValueError, match="plain relative"):
        safe_path(name)


def test_a_manifest_cannot_name_them_either(store):
    def lead_out(manifest):
        files = [file | {"path": "../../x"} if file["path"] == "README.md" else file for file in manifest["files"]]
        return manifest | {"files": files}

    refused("pack_manifest_invalid", Invalid, opened_by, store, resigned(signed(KEY), lead_out))


def test_names_that_differ_in_case_only(store, tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for name in ("README.md", "readme.md"):
            archive.writestr(name, b"x")
    refused("pack_path_unsafe", Refused, read_bundle, tmp_path / "p.zip")


@pytest.mark.parametrize("name", ["../evil", "/abs", "a\\..\\b", "x/../../y"])
def test_archives_with_traversal(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr(name, b"x")
    refused("pack_path_unsafe", Refused, read_bundle, tmp_path / "p.zip")


def test_a_nul_in_an_archived_name(tmp_path):
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README.mdXevil", b"x")
    path.write_bytes(path.read_bytes().replace(b"README.mdXevil", b"README.md\x00evil"))
    refused("pack_path_unsafe", Refused, read_bundle, path)


def test_links_and_devices(tmp_path):
    folder = write(signed(KEY), tmp_path / "p")
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to("/etc/hostname")
    refused("pack_link", Refused, read_bundle, folder)
    (folder / "README.md").unlink()
    os.mkfifo(folder / "README.md")
    refused("pack_link", Refused, read_bundle, folder)
    (tmp_path / "elsewhere").symlink_to(folder)
    refused("pack_link", Refused, read_bundle, tmp_path / "elsewhere")
    info = zipfile.ZipInfo("README.md")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refused("pack_link", Refused, read_bundle, tmp_path / "l.zip")


def test_oversize(tmp_path):
    big = write({"big.bin": b"0" * (MAX_FILE_BYTES + 1)}, tmp_path / "one")
    refused("pack_oversize", Refused, read_bundle, big)
    many = write({f"f{n}": b"" for n in range(MAX_FILES + 2)}, tmp_path / "many")
    refused("pack_oversize", Refused, read_bundle, many)
    heavy = write({f"f{n}": b"0" * MAX_FILE_BYTES for n in range(5)}, tmp_path / "heavy")
    refused("pack_oversize", Refused, read_bundle, heavy)
    refused("pack_path_unsafe", Refused, read_bundle, write({"a/b/c/d/e": b""}, tmp_path / "deep"))


def test_a_decompression_bomb_is_stopped_at_the_limit(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"0" * (64 * 1024 * 1024))
    assert (tmp_path / "b.zip").stat().st_size < 100_000
    refused("pack_oversize", Refused, read_bundle, tmp_path / "b.zip")


def test_archive_and_folder_hold_the_same_pack(store, tmp_path):
    bundle = signed(KEY)
    write_bundle(bundle, tmp_path / "p.zip")
    write_bundle(bundle, tmp_path / "p")
    assert read_bundle(tmp_path / "p.zip") == read_bundle(tmp_path / "p") == bundle
    refused("file_exists", Invalid, write_bundle, bundle, tmp_path / "p.zip")
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 nothing")
    refused("pack_archive_invalid", Invalid, read_bundle, tmp_path / "bad.zip")


def test_a_pack_under_another_name_or_version(store, tmp_path):
    write(signed(KEY), tmp_path / "shelf" / "edge" / "7.0.0")
    shelf = Shelf(store, tmp_path / "shelf", running="0.1.0")
    refused("pack_misplaced", Refused, shelf.open, ACME, "edge", "7.0.0")
    refused("notfound", NotFound, shelf.open, ACME, "nothing")


def test_the_shelf_tells_nothing_of_a_pack_it_cannot_trust(store, tmp_path):
    write(signed(KEY), tmp_path / "shelf" / "edge" / "0.1.0")
    shelf = Shelf(store, tmp_path / "shelf", running="0.1.0")
    assert [(p.name, p.kind, p.publisher, p.refused) for p in shelf.listed(ACME)] == [("edge", "add_on", "maker", "")]
    [theirs] = shelf.listed("globex")
    assert (theirs.kind, theirs.summary, theirs.publisher, theirs.refused) == (None, "", "", "pack_signer_unknown")
