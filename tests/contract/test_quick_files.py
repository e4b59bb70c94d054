"""Files that cannot be read: what the settings refuse, and what still does not keep anybody from engaging."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from killswitch import Settings, SettingsError, quick
from tests.support.surroundings import surroundings


def test_an_unreadable_dotenv_refuses_only_where_the_address_is_in_doubt(tmp_path: Path) -> None:
    """With address and prefix from the environment it is a warning; else another switch might be engaged."""
    with surroundings(tmp_path):
        (tmp_path / ".env").write_bytes(b"KILLSWITCH_PREFIX=\xff\xfe\n")
        with pytest.raises(SettingsError, match=r"\.env cannot be read"):
            quick.read_target()
        os.environ.update(KILLSWITCH_REDIS_URL="redis://h", KILLSWITCH_PREFIX="ks")
        found = quick.read_target()
        assert found.prefix == "ks"
        assert ".env cannot be read" in found.warnings[0]


DAMAGED = {
    "another value": (b"KILLSWITCH_REDIS_URL=redis://right\nKILLSWITCH_ACTOR=M\xfcller\n", "right"),
    "a remark": (b"# M\xfcller\nKILLSWITCH_REDIS_URL=redis://right\n", "right"),
    "the name of nothing": (b"M\xfc=1\n", "localhost"),
    "the address": (b"KILLSWITCH_REDIS_URL=redis://m\xfcller\n", None),
    "the prefix": (b"KILLSWITCH_PREFIX=m\xfcller\nKILLSWITCH_REDIS_URL=redis://right\n", None),
    "all of it": ("KILLSWITCH_REDIS_URL=redis://right\n".encode("utf-16"), None),
    "all of it, unmarked": ("KILLSWITCH_REDIS_URL=redis://right\n".encode("utf-16-le"), None),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_dotenv_in_another_encoding_hides_the_address_only_where_it_is_in_those_bytes(
    tmp_path: Path, what: str
) -> None:
    """A remark with somebody's name must not keep the operator from stopping; a line that cannot be read might name
    another switch. The settings refuse each of them by the file's name."""
    content, host = DAMAGED[what]
    with surroundings(tmp_path):
        (tmp_path / ".env").write_bytes(content)
        with pytest.raises(SettingsError, match=r"\.env cannot be read: .* UTF-8: save it in that encoding"):
            Settings()
        if host is None:
            with pytest.raises(SettingsError, match=r"\.env cannot be read"):
                quick.read_target()
            return
        found = quick.read_target()
    assert [name for name, _ in found.endpoint.hosts] == [host]
    assert ".env cannot be read" in found.warnings[0]


@pytest.mark.parametrize("where", [".env", "secrets/killswitch_prefix"])
def test_a_byte_order_mark_is_passed_over(tmp_path: Path, where: str) -> None:
    """An editor that puts it there must not silently take the first line away, and with it the address."""
    with surroundings(tmp_path):
        text = "KILLSWITCH_PREFIX=ks\n" if where == ".env" else "ks\n"
        (tmp_path / where).write_text(text, encoding="utf-8-sig")
        assert quick.read_target().prefix == Settings().prefix == "ks"


@pytest.mark.parametrize("where", [".env", "secrets/killswitch_redis_url", "secrets"])
def test_a_source_that_cannot_be_opened_is_refused_by_both(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No right to read it: the address may stand there, so another one must not be taken for it."""
    with (
        surroundings(tmp_path, secrets={"killswitch_redis_url": "redis://right"}, dotenv="# nothing\n"),
        monkeypatch.context() as patch,
    ):
        place = tmp_path / where
        if place.is_dir():
            listed = os.listdir

            def refuse(path: str) -> list[str]:
                if str(path) == str(place):
                    raise PermissionError(13, "Permission denied")
                return listed(path)

            patch.setattr(os, "listdir", refuse)
        else:
            place.unlink()
            place.symlink_to("/proc/self/mem")  # its beginning cannot be read, by nobody
            patch.setattr(os.path, "realpath", os.path.abspath)  # or it would be told as leading out of the folder
            patch.setattr(Path, "resolve", Path.absolute)
        for load in (quick.read_target, Settings):
            with pytest.raises(SettingsError, match=r"cannot be read: .*let this user read it") as caught:
                load()
            assert place.name in str(caught.value)
