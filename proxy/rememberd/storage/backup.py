"""A backup is a tar file: the files of a data directory, and a manifest with their checksums at its end.

It may be encrypted as a whole by age (pyrage), to public keys or with a passphrase.
"""

import gzip
import hashlib
import io
import os
import sqlite3
import tarfile
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import orjson

from rememberd.errors import RememberdError
from rememberd.storage.format_version import refuse_newer
from rememberd.storage.sqlite.database import open_read_only

FORMAT = 1
MANIFEST = "manifest.json"
_AGE = b"age-encryption.org/"
_PIECE = 2**20  # bytes
_BUSY_SECONDS = 5.0
_TOO_MUCH_WORK = "Excessive work parameter"
_TRIES, _BETWEEN_TRIES_SECONDS = 5, 0.5

Marks = dict[str, int]  # erased users, by their name in the files, with the time of the erasure


class BackupError(RememberdError):
    """The file is not a backup, is damaged, or cannot be opened."""


class Lock(NamedTuple):
    """How an archive is encrypted: to age or SSH public keys, or with a passphrase. Without both, it is not."""

    recipients: tuple[str, ...] = ()
    passphrase: str | None = None


class Unlock(NamedTuple):
    """What decrypts an archive: the text of an age identity file, or the passphrase."""

    identities: str | None = None
    passphrase: str | None = None


def secret_in(file: Path | None) -> str | None:
    """The content of the file; None for no file. Raises `BackupError`."""
    if file is None:
        return None
    try:
        secret = file.read_text().strip()
    except (OSError, ValueError) as error:
        raise BackupError(f"{file} cannot be read: {error}") from error
    if not secret:
        raise BackupError(f"{file} is empty")
    return secret


def public_keys(recipients: Iterable[str]) -> list[Any]:
    """Raises `BackupError` for a text that is no age or SSH public key."""
    import pyrage

    keys = []
    for each in recipients:
        kind = pyrage.ssh.Recipient if each.startswith("ssh-") else pyrage.x25519.Recipient
        try:
            keys.append(kind.from_str(each))
        except pyrage.RecipientError as error:
            raise BackupError(f"--recipient {each[:80]} is not an age or SSH public key: {error}") from error
    return keys


def copy_file(source: Path, target: Path) -> None:
    """Copy a file that only grows, up to its present size."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as old, target.open("wb") as new:
        left = os.fstat(old.fileno()).st_size
        while left and (piece := old.read(min(left, _PIECE))):
            new.write(piece)
            left -= len(piece)


def write_archive(folder: Path, file: Path, about: dict[str, Any], lock: Lock) -> None:
    """All files of `folder`, and the manifest: `about` with sizes and checksums. `file` appears when it is whole. If
    it is encrypted, the archive is first written beside `folder`, so that nothing in clear is ever beside `file`."""
    draft = file.with_name(f"{file.name}.new")
    plain = folder.with_name(f"{folder.name}.plain") if lock != Lock() else draft
    try:
        with _private(plain) as out, tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
            files = {}
            for path in sorted(each for each in folder.rglob("*") if each.is_file()):
                name = path.relative_to(folder).as_posix()
                tar.add(path, name, filter=_anonymous)
                files[name] = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
            manifest = orjson.dumps(about | {"format": FORMAT, "files": files}, option=orjson.OPT_INDENT_2)
            entry = tarfile.TarInfo(MANIFEST)
            entry.size = len(manifest)
            tar.addfile(entry, io.BytesIO(manifest))
        if plain != draft:
            with plain.open("rb") as source, _private(draft) as out:
                _encrypt(source, out, lock)
        _sync(draft)
        draft.replace(file)
    finally:
        plain.unlink(missing_ok=True)
        draft.unlink(missing_ok=True)


def read_archive(file: Path, folder: Path, unlock: Unlock) -> dict[str, Any]:
    """Unpack into the empty `folder` and compare every checksum. Returns the manifest. Raises `BackupError`."""
    try:
        with _opened(file, folder, unlock) as plain, gzip.GzipFile(fileobj=plain) as unzipped:
            with tarfile.open(fileobj=unzipped, mode="r|") as tar:
                for entry in tar:
                    if not entry.isfile() or not _inside(entry.name):
                        raise BackupError(f"{file} holds {entry.name!r}, which is not a file of a backup")
                    tar.extract(entry, folder, filter="data")
            while unzipped.read(_PIECE):  # to the end, because gzip checks its own checksum there
                pass
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise BackupError(f"{file} is not a complete backup: {error}") from error
    if manifest["format"] > FORMAT:
        raise BackupError(
            f"{file} has the format {manifest['format']}, made by rememberd {manifest['version']}; this one reads"
            f" formats up to {FORMAT}: restore it with that version"
        )
    _compare(folder, manifest["files"])
    (folder / MANIFEST).unlink()
    return dict(manifest)


def check_databases(folder: Path) -> None:
    """Raises `BackupError` for a damaged SQLite file."""
    for path in folder.glob("*.db"):
        with sqlite3.connect(path) as db:
            if (found := db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                raise BackupError(f"{path.name} is damaged: {found}")
        db.close()


def erasures_in(places: Iterable[Path]) -> Marks:
    """The erasures recorded in audit logs and data directories. Raises `BackupError`, and `ConfigError` for a log
    that a newer version wrote."""
    found: Marks = {}
    for place in places:
        logs = [place] if place.is_file() else [each for each in (place / "audit.jsonl",) if each.exists()]
        if not place.exists():
            raise BackupError(f"{place} does not exist: name an audit log or a data_dir")
        for user, at in [pair for log in logs for pair in _audited(log)] + _marked(place / "queue.db"):
            found[user] = max(at, found.get(user, 0))
    return found


def _audited(log: Path) -> Iterator[tuple[str, int]]:
    from datetime import datetime

    for line in log.read_bytes().splitlines():
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue  # a power cut has shortened this line
        refuse_newer(log, entry.get("format", 1), entry.get("version", ""))
        if entry.get("did") == "erase" and entry.get("whose") and entry.get("status", 200) == 200:
            yield entry["whose"], int(datetime.fromisoformat(entry["at"]).timestamp() * 1000)


def _marked(file: Path) -> list[tuple[str, int]]:
    if not file.exists():
        return []
    db = open_read_only(file, _BUSY_SECONDS)
    try:
        return db.execute("SELECT user, at FROM erased").fetchall()
    finally:
        db.close()


def _compare(folder: Path, files: dict[str, Any]) -> None:
    there = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()} - {MANIFEST}
    if there != files.keys():
        raise BackupError(f"the backup's files are not those of its manifest: {sorted(there ^ files.keys())[:5]}")
    for name, known in files.items():
        if _sha256(folder / name) != known["sha256"]:
            raise BackupError(f"{name} is damaged: its checksum is not that of the manifest")


@contextmanager
def _opened(file: Path, folder: Path, unlock: Unlock) -> Iterator[IO[bytes]]:
    with file.open("rb") as given:
        encrypted = given.read(len(_AGE)) == _AGE
        given.seek(0)
        if not encrypted:
            yield given
            return
        plain = folder.with_name(f"{folder.name}.plain")
        try:
            with _private(plain) as out:
                _decrypt(given, out, unlock)
            with plain.open("rb") as opened:
                yield opened
        finally:
            plain.unlink(missing_ok=True)


def _encrypt(source: IO[bytes], out: IO[bytes], lock: Lock) -> None:
    import pyrage

    if lock.passphrase is not None:
        out.write(pyrage.passphrase.encrypt(source.read(), lock.passphrase))
        return
    pyrage.encrypt_io(source, out, public_keys(lock.recipients))


def _decrypt(source: IO[bytes], out: IO[bytes], unlock: Unlock) -> None:
    import pyrage

    try:
        if unlock.passphrase is not None:
            out.write(_by_passphrase(source.read(), unlock.passphrase))
            return
        if unlock.identities is None:
            raise BackupError("this backup is encrypted: give --identity or --passphrase-file")
        text = unlock.identities
        if "OPENSSH" in text:
            keys: list[Any] = [pyrage.ssh.Identity.from_buffer(text.encode())]
        else:
            lines = [line.strip() for line in text.splitlines()]
            keys = [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith("AGE-SECRET-KEY-")]
        pyrage.decrypt_io(source, out, keys)
    except (pyrage.DecryptError, pyrage.IdentityError) as error:
        raise BackupError(f"this backup cannot be opened with that key or passphrase: {error}") from error


def _by_passphrase(data: bytes, passphrase: str) -> bytes:
    """age decides by the speed of the machine how much work a passphrase costs, and refuses to open a file that would
    cost 16 times as much. A busy machine may therefore refuse its own file, usually for a moment. Raises
    `pyrage.DecryptError`."""
    import pyrage

    reason: Exception | None = None
    for _ in range(_TRIES):
        try:
            opened: bytes = pyrage.passphrase.decrypt(data, passphrase)
        except pyrage.DecryptError as error:
            if _TOO_MUCH_WORK not in str(error):
                raise
            reason = error
            time.sleep(_BETWEEN_TRIES_SECONDS)
        else:
            return opened
    raise BackupError(f"this machine is too busy or too slow to try the passphrase: {reason}") from reason


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b")


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
