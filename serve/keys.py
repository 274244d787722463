"""API keys: 256 random bits each, kept as SHA-256 in a file of mode 0600, revocable while the server runs."""

import datetime as dt
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

import filelock
import msgspec

from pipelines.errors import EnvironmentFault, UsageError

PREFIX = "pk-"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key as kept: whoever reads the file cannot use it. Plain SHA-256 is enough for 256 random bits."""

    name: str
    sha256: str
    created: str
    revoked: str | None = None


class _File(msgspec.Struct, frozen=True):
    keys: tuple[Key, ...] = ()


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def read(path: Path) -> tuple[Key, ...]:
    """All keys, revoked ones too; none where there is no file.

    Raises:
        EnvironmentFault: the file is damaged, or others may read or write it.
    """
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise EnvironmentFault(f"Others may read or change {path}: chmod 600 {path}")
            return msgspec.json.decode(file.read(), type=_File).keys
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EnvironmentFault(f"The key file {path} cannot be read: {error}") from error


def add(path: Path, name: str) -> str:
    """Make a key and return it; it is shown this once and kept nowhere.

    Raises:
        UsageError: the name is taken or empty.
    """
    if not name.strip() or not name.isprintable() or len(name) > 100:
        raise UsageError("A key's name must have 1 to 100 printable characters.")
    key = PREFIX + secrets.token_urlsafe(32)
    with _locked(path):
        keys = read(path)
        if any(k.name == name and k.revoked is None for k in keys):
            raise UsageError(f"There is already a key named {name}; revoke it first or choose another name.")
        _write(path, (*keys, Key(name=name, sha256=_digest(key), created=_now())))
    return key


def revoke(path: Path, name: str) -> None:
    """Refuse the key from now on; a running server sees it at once.

    Raises:
        UsageError: there is no such valid key.
    """
    with _locked(path):
        keys = read(path)
        if not any(k.name == name and k.revoked is None for k in keys):
            raise UsageError(f"There is no valid key named {name} in {path}.")
        changed = (msgspec.structs.replace(k, revoked=_now()) if k.name == name and not k.revoked else k for k in keys)
        _write(path, tuple(changed))


def _locked(path: Path) -> filelock.BaseFileLock:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return filelock.FileLock(f"{path}.lock", mode=0o600)


def _write(path: Path, keys: tuple[Key, ...]) -> None:
    """Whole or not at all, and never readable by others in between."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(_File(keys)), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


class KeyRing:
    """The valid keys, read again whenever the file changes. A file that cannot be read admits nobody."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._keys: tuple[Key, ...] = ()

    def owner(self, key: str) -> str | None:
        """The name of the key's owner; None if it is not valid.

        Raises:
            EnvironmentFault: the file cannot be read.
        """
        self._refresh()
        offered, owner = _digest(key), None
        for known in self._keys:  # every one is compared, in constant time: how long it takes tells nothing
            if hmac.compare_digest(known.sha256, offered):
                owner = known.name
        return owner

    def _refresh(self) -> None:
        try:
            state = self._path.stat()
            seen = (state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_size)
        except FileNotFoundError:
            self._seen, self._keys = None, ()
            return
        if seen != self._seen:
            self._keys = tuple(k for k in read(self._path) if k.revoked is None)
            self._seen = seen
