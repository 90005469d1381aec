import pytest

from tools.catalog import sidecar
from workflow.errors import ConfigError


def write(tmp_path, text, encoding="utf-8"):
    folder = tmp_path / "footage"
    folder.mkdir(exist_ok=True)
    for name in ("a.mp4", "b, c.mp4"):
        (folder / name).touch()
    (folder / "videos.csv").write_bytes(text.encode(encoding))
    return sidecar.read(["footage/videos.csv"], tmp_path, {"footage/gone.mp4"})


def test_rows_are_notes_by_file(tmp_path):
    notes = write(tmp_path, 'file,licence,consent,subject,notes,split,source\na.mp4,CC0,written,ann,"one, two",val,\n')
    note = notes["footage/a.mp4"]
    assert (note.licence, note.consent, note.subject, note.notes, note.split) == (
        "CC0",
        "written",
        "ann",
        "one, two",
        "val",
    )
    assert note.source == "real"


def test_spreadsheet_habits_are_understood(tmp_path):
    notes = write(tmp_path, '\ufeffFile ;Licence;source\r\n"b, c.mp4"; CC0 ;synthetic\r\n;;\r\n')
    assert (notes["footage/b, c.mp4"].licence, notes["footage/b, c.mp4"].source) == ("CC0", "synthetic")


def test_a_row_may_outlive_its_catalogued_file(tmp_path):
    assert "footage/gone.mp4" in write(tmp_path, "file\ngone.mp4\n")


def test_all_faults_come_at_once(tmp_path):
    text = "file,split,source\na.mp4,dev,\na.mp4,,\nmissing.mp4,,\n,,real\nb,c.mp4,x,y\na.mp4,,drawn\n"
    with pytest.raises(ConfigError) as caught:
        write(tmp_path, text)
    assert str(caught.value).splitlines() == [
        "footage/videos.csv, line 2: split is 'dev'; one of train, val, test, or empty",
        "footage/videos.csv, line 3: 'a.mp4' is already on line 2; keep one of them",
        "footage/videos.csv, line 4: 'missing.mp4' does not exist in footage; correct the name or remove the row",
        "footage/videos.csv, line 5: 'file' is empty; name the video",
        "footage/videos.csv, line 6: 4 cells, 3 columns; put quotes around text with commas",
        "footage/videos.csv, line 7: 'a.mp4' is already on line 2; keep one of them",
        "footage/videos.csv, line 7: source is 'drawn'; one of real, synthetic, or empty",
    ]


@pytest.mark.parametrize(
    ("text", "encoding", "fault"),
    [
        ("", "utf-8", "is empty"),
        ("name,licence\n", "utf-8", "unknown column 'name'"),
        ("licence\n", "utf-8", "column 'file' is missing"),
        ("file,file\n", "utf-8", "appears twice"),
        ("file,notes\na.mp4,caf\xe9\n", "latin-1", "is not UTF-8"),
    ],
)
def test_a_table_that_cannot_be_read_says_what_to_do(tmp_path, text, encoding, fault):
    with pytest.raises(ConfigError, match=fault):
        write(tmp_path, text, encoding)
