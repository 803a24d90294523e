"""A folder of raw files: found, hashed once, classified, copies named."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tracecube.core.errors import MissingInput
from tracecube.workflow import scan as scanning
from tracecube.workflow.scan import data_files, scan


def write(folder: Path, name: str, **cards: str) -> Path:
    """Write the smallest FITS file with these cards."""
    head = [f"{key:8}= {value:>20}" for key, value in {"SIMPLE": "T", "BITPIX": "8", "NAXIS": "0"}.items()]
    head += [f"{key:8}= '{value}'" for key, value in cards.items()]
    text = "".join(card.ljust(80) for card in [*head, "END"])
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.ljust(2880).encode())
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    write(tmp_path, "deep/er/b.fits", INSTRUME="small", TAG="BIAS")
    write(tmp_path, "a.fits", INSTRUME="small", TAG="HG")
    return tmp_path


def names(found) -> list[str]:
    return sorted(file.name for file in found.files)


def test_looks_into_all_folders_and_at_data_files_alone(folder, instrument_of):
    (folder / "README.md").write_text("no data")
    write(folder, ".hidden.fits", INSTRUME="small")
    write(folder, ".trash/x.fits", INSTRUME="small")
    write(folder, "truth/lenslets.fits", INSTRUME="small")
    write(folder, "out/2020-01-01/p.fits", INSTRUME="small")
    (folder / "out" / "tracecube.db").write_text("")
    assert names(scan(folder, [instrument_of()])) == ["a", "b"]


def test_classifies(folder, instrument_of):
    found = scan(folder, [instrument_of()])
    assert {file.name: (file.instrument, file.tag, file.night) for file in found.classified} == {
        "a": ("small", "HG", "2020-01-01"),
        "b": ("small", "BIAS", "2020-01-01"),
    }
    assert found.unclassified == ()


def test_reasons(folder, instrument_of):
    def lacks(_name, header):
        raise MissingInput("no card TAG", hint="write it")

    own = replace(instrument_of(), classify=lacks)
    write(folder, "foreign.fits", INSTRUME="other")
    (folder / "broken.fits").write_text("x")
    found = {file.name: file for file in scan(folder, [own]).unclassified}
    assert found["a"].reason == "no card TAG (try: write it)"
    assert not found["a"].foreign
    assert found["foreign"].reason == "not a file of small"
    assert found["foreign"].foreign
    assert "not a FITS file" in found["broken"].reason
    assert not found["broken"].foreign


def test_a_header_that_rules_stumble_over_does_not_stop_the_others(folder, instrument_of):
    small = instrument_of()

    def stumbles(name, header):
        return small.classify(name, header) if name == "a" else int("no number")

    found = scan(folder, [replace(small, classify=stumbles)])
    assert [file.name for file in found.classified] == ["a"]
    [refused] = found.unclassified
    assert refused.reason.startswith("b: ValueError: invalid literal")
    assert "a fault in the rules of small" in refused.reason
    assert "try: leave the file out" in refused.reason


def test_two_owners_are_one_too_many(folder, instrument_of):
    greedy = replace(instrument_of(name="greedy"), recognises=lambda *_: True)
    reasons = {file.reason for file in scan(folder, [instrument_of(), greedy]).unclassified}
    assert reasons == {"claimed by several instruments: small, greedy"}


def test_copies_are_named_and_the_first_name_is_kept(folder, instrument_of):
    shutil.copy(folder / "a.fits", folder / "0.fits")
    found = scan(folder, [instrument_of()])
    assert names(found) == ["0", "b"]
    assert [(Path(c.path).name, Path(c.copy_of).name) for c in found.copies] == [("a.fits", "0.fits")]


def test_of_copies_the_shortest_name_is_kept(folder, instrument_of):
    shutil.copy(folder / "a.fits", folder / "Copy of a.fits")
    shutil.copy(folder / "a.fits", folder / "0a (1).fits")
    assert names(scan(folder, [instrument_of()])) == ["a", "b"]


def test_the_same_frame_in_another_compression_is_a_copy(folder, instrument_of):
    (folder / "a.fits.gz").write_bytes(gzip.compress((folder / "a.fits").read_bytes()))
    write(folder, "night2/a.fits", INSTRUME="small", TAG="HG", MORE="another frame of this name")
    found = scan(folder, [instrument_of()])
    assert names(found) == ["a", "a", "b"]
    assert [Path(copy.path).name for copy in found.copies] == ["a.fits.gz"]


def test_two_tables_of_one_name_and_the_same_columns_are_two(folder, instrument_of):
    for name, value in (("n1", 1), ("n2", 2)):
        (folder / name).mkdir()
        (folder / name / "stars.csv").write_text(f"ra,dec\n{value},2\n")
    assert names(scan(folder, [instrument_of()])) == ["a", "b", "stars", "stars"]


def test_links_in_a_circle_end(folder, instrument_of):
    (folder / "deep" / "up").symlink_to(folder)
    assert names(scan(folder, [instrument_of()])) == ["a", "b"]


def test_unchanged_files_are_neither_read_nor_hashed_again(folder, instrument_of, monkeypatch):
    shutil.copy(folder / "a.fits", folder / "copy.fits")
    first = scan(folder, [instrument_of()])
    known = {file.path: file for file in (*first.files, *first.copies)}
    asked: list[str] = []
    monkeypatch.setattr(scanning, "read_header", lambda path: asked.append(path) or {})
    monkeypatch.setattr(scanning, "hash_of_file", lambda path: asked.append(path) or "new")
    again = scan(folder, [instrument_of()], known)
    assert asked == []
    assert again == first
    write(folder, "a.fits", INSTRUME="small", TAG="XE", MORE="1")
    assert scan(folder, [instrument_of()], known) != first
    assert set(asked) == {str(folder / "a.fits")}


def test_tags_are_made_anew_from_known_headers(folder, instrument_of):
    first = scan(folder, [instrument_of()])
    known = {file.path: replace(file, tag="OLD", reason="old") for file in first.files}
    assert scan(folder, [instrument_of()], known) == first


def test_a_file_that_cannot_be_read_has_its_reason(folder, instrument_of, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(scanning, "hash_of_file", denied)
    found = scan(folder, [instrument_of()])
    assert all("cannot be read (Permission denied)" in file.reason for file in found.unclassified)
    assert len(found.unclassified) == 2


def test_a_dangling_link_has_its_reason(folder, instrument_of):
    (folder / "gone.fits").symlink_to(folder / "nowhere.fits")
    [file] = scan(folder, [instrument_of()]).unclassified
    assert "gone.fits: cannot be read" in file.reason


def test_wrong_folders(tmp_path, instrument_of):
    with pytest.raises(MissingInput, match="no such folder"):
        scan(tmp_path / "nowhere", [instrument_of()])
    with pytest.raises(MissingInput, match="no instrument is installed"):
        scan(tmp_path, [])
    assert scan(tmp_path, [instrument_of()]).files == ()


def test_a_folder_linked_into_another_is_followed(folder, tmp_path_factory, instrument_of):
    other = tmp_path_factory.mktemp("other")
    (other / "link").symlink_to(folder)
    assert {Path(path).name for path in data_files(other)} == {"a.fits", "b.fits"}


def archive(folder: Path, *names: str) -> Path:
    """Move files into a tar archive."""
    with tarfile.open(folder / "night.tar", "w") as tar:
        for name in names:
            tar.add(folder / name, f"night1/{name}")
            (folder / name).unlink()
    return folder / "night.tar"


def test_members_of_an_archive_are_files(folder, instrument_of):
    loose = {file.name: file for file in scan(folder, [instrument_of()]).files}
    path = archive(folder, "deep/er/b.fits", "a.fits")
    found = {file.name: file for file in scan(folder, [instrument_of()]).files}
    assert found["a"].path == f"{path}::night1/a.fits"
    assert {name: (file.sha256, file.size, file.tag, file.header) for name, file in found.items()} == {
        name: (file.sha256, file.size, file.tag, file.header) for name, file in loose.items()
    }


def test_a_member_that_lies_loose_too_is_a_copy(folder, instrument_of):
    shutil.copy(folder / "a.fits", folder / "kept")
    archive(folder, "a.fits")
    shutil.move(folder / "kept", folder / "a.fits")
    found = scan(folder, [instrument_of()])
    assert names(found) == ["a", "b"]
    assert len(found.copies) == 1


def test_what_a_truncated_archive_lost_is_said(folder, instrument_of):
    path = archive(folder, "a.fits", "deep/er/b.fits")
    path.write_bytes(path.read_bytes()[:7000])
    found = scan(folder, [instrument_of()])
    assert [file.name for file in found.classified] == ["a"]
    [lost] = found.unclassified
    assert "ends within night1/deep/er/b.fits; 1 raw files in it are whole" in lost.reason
    assert not lost.foreign


def test_a_compressed_archive_is_left_out_where_it_was_unpacked_beside(folder, instrument_of):
    plain = archive(folder, "a.fits")
    for name in ("deep.tar.xz", "other.tar.xz"):
        (folder / name).write_bytes(lzma.compress(plain.read_bytes()))
    plain.unlink()
    found = scan(folder, [instrument_of()])
    assert names(found) == ["a", "b"]
    assert [file.path for file in found.files if file.name == "a"] == [f"{folder}/other.tar.xz::night1/a.fits"]
    assert found.copies == ()


def test_texts_that_are_no_table_of_an_instrument_are_passed_over(folder, instrument_of):
    own = instrument_of()
    taken = replace(
        own,
        recognises=lambda name, head: name == "fplane" or own.recognises(name, head),
        classify=lambda name, head: own.classify(name, {"TAG": "GUIDE", **head}),
    )
    for name in ("README", "spectrum", "fplane"):
        (folder / f"{name}.txt").write_text("read me\n" if name == "README" else "# X Y\n1 2\n")
    found = scan(folder, [taken])
    assert names(found) == ["a", "b", "fplane"]
