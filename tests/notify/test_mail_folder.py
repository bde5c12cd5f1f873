"""E-mails as files: what a mail server would get."""

import email
from email.policy import default
from pathlib import Path

import pytest

from tests.collector.test_config import LEAST, error
from tests.notify.messages import composed
from titik_collector.notify.mail_folder import FolderChannel
from titik_collector.notify.undelivered import Undelivered


def test_a_mail_is_one_file_however_often_it_is_tried(tmp_path: Path) -> None:
    """It opens in a mail program, and everybody of this machine may read it."""
    folder = tmp_path / "mail"
    for _ in range(2):
        FolderChannel(folder, "Kota Kupang").deliver(composed())
    (file,) = folder.iterdir()
    found = email.message_from_bytes(file.read_bytes(), policy=default)
    assert (composed().subject, "it@titik.invalid") == (found["Subject"], found["To"])
    assert (0o644, ".eml") == (file.stat().st_mode & 0o777, file.suffix)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """And the message is tried again."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Undelivered, match="file/mail") as caught:
        FolderChannel(tmp_path / "file" / "mail", "Kota Kupang").deliver(composed())
    assert (False, "send") == (caught.value.is_permanent, caught.value.step)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("", "folder: is missing; give a path in quotes"),
        ('folder = "mail"\nurl = "https://a.b"', "url: is of no use with folder"),
    ],
)
def test_a_folder_needs_its_path_alone(key: str, expected: str) -> None:
    """As any receiver, it has what its type needs."""
    assert expected in error(f'{LEAST}[[receiver]]\nname = "a"\ntype = "folder"\n{key}')
