"""The models on offer: found on disk, checked, warmed, and swapped in one step when their files change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from threading import Lock

from serve.http.messages import Problem, unavailable
from serve.inference.limits import MODELS
from serve.inference.model import Model, ModelError

Signature = tuple[int, int, int]  # of a file: modification time in ns, bytes, inode
REGISTRY = "models:/"


@dataclass(frozen=True)
class Entry:
    """What is known of one name."""

    path: Path
    signature: Signature | None = None
    model: Model | None = None
    reason: str = ""
    """Why the newest file is not the one that answers."""
    unloaded: bool = False


class Repository:
    """Readers take one reference, `entries`; it is replaced whole, so no request sees half a change."""

    def __init__(self, sources: Iterable[str], *, threads: int = 1) -> None:
        self.entries: dict[str, Entry] = {}
        self._sources = list(sources)
        self._threads = threads
        self._changing = Lock()
        self._paths: list[Path] = []
        self._downloads: TemporaryDirectory[str] | None = None

    def close(self) -> None:
        if self._downloads is not None:
            self._downloads.cleanup()
            self._downloads = None

    def _path(self, source: str) -> Path:
        """Where a source is; a registry's model is fetched first, since its alias may name another one by now."""
        if not source.startswith(REGISTRY):
            return Path(source)
        if self._downloads is None:
            self._downloads = TemporaryDirectory(prefix="cifra-", ignore_cleanup_errors=True)
        return _fetched(source, self._downloads.name)

    @property
    def ready(self) -> bool:
        return any(entry.model is not None for entry in self.entries.values())

    def get(self, name: str, version: str | None = None) -> Model:
        """Raises Problem: 404 where there is none, 503 where there is one that cannot answer."""
        entry = self.entries.get(name)
        if entry is None:
            known = ", ".join(self.entries) or "no model"
            raise Problem(404, f"unknown model {name[:80]!r}; there is {known}")
        if entry.model is None:
            raise unavailable(f"model {name!r} is not ready: {entry.reason or 'unloaded'}")
        if version is not None and version != entry.model.version:
            raise Problem(404, f"unknown version {version[:80]!r} of {name!r}; it is {entry.model.version!r}")
        return entry.model

    def refresh(self, *, force: bool = False) -> list[str]:
        """Look at the files again; load those that changed, or all. Returns one line for each change.

        Raises ModelError where a registry's model cannot be had.
        """
        with self._changing:
            return self._refresh(force)

    def _refresh(self, force: bool) -> list[str]:
        if force or not self._paths:
            self._paths = [self._path(source) for source in self._sources]
        found: dict[str, Path] = {}
        for path in _files(self._paths):  # two files of one name are told apart by their folders
            found[path.stem if path.stem not in found else f"{path.absolute().parent.name}_{path.stem}"] = path
        gone = {name: entry for name, entry in self.entries.items() if name not in found}
        entries = {name: self._refreshed(name, path, force) for name, path in found.items()}
        entries |= {name: replace(entry, signature=None, reason="its file is gone") for name, entry in gone.items()}
        lines = [_line(name, entry) for name, entry in entries.items() if entry != self.entries.get(name)]
        self.entries = dict(sorted(entries.items()))
        return lines

    def load(self, name: str) -> Entry:
        """Load one name again from its file."""
        with self._changing:
            entry = self._entry(name)
            loaded = self._loaded(entry.path, replace(entry, unloaded=False))
            self.entries = {**self.entries, name: loaded}
        return loaded

    def unload(self, name: str) -> Entry:
        with self._changing:
            entry = replace(self._entry(name), model=None, reason="", unloaded=True)
            self.entries = {**self.entries, name: entry}
        return entry

    def _entry(self, name: str) -> Entry:
        if name not in self.entries:
            raise Problem(404, f"unknown model {name[:80]!r}")
        return self.entries[name]

    def _refreshed(self, name: str, path: Path, force: bool) -> Entry:
        entry = self.entries.get(name, Entry(path))
        if entry.unloaded or (entry.signature is not None and entry.signature == _signature(path) and not force):
            return entry
        return self._loaded(path, entry)

    def _loaded(self, path: Path, before: Entry) -> Entry:
        """The file's model, or the one before with the reason why."""
        signature = _signature(path)  # taken first: a file that changes meanwhile is loaded again
        try:
            model = Model.load(path, threads=self._threads)
        except ModelError as error:
            return replace(before, path=path, signature=signature, reason=str(error))
        if before.model is not None and before.model.sha256 == model.sha256:
            model = before.model
        return Entry(path, signature, model)


def _line(name: str, entry: Entry) -> str:
    if entry.model is None:
        return f"{name}: not served: {entry.reason or 'unloaded'}"
    if entry.reason:
        return f"{name}: version {entry.model.version} goes on: {entry.reason}"
    return f"{name}: version {entry.model.version} of {entry.model.network} is ready"


def _files(sources: Iterable[Path]) -> Iterator[Path]:
    """The ONNX files of files and directories."""
    count = 0
    for source in sources:
        for path in sorted(source.glob("*.onnx")) if source.is_dir() else [source]:
            if path.is_file() and (count := count + 1) <= MODELS:
                yield path


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _fetched(uri: str, directory: str) -> Path:
    """The ONNX file of a registered model, `models:/NAME@ALIAS`, as NAME.onnx. Raises ModelError."""
    try:
        from mlflow.artifacts import download_artifacts
    except ImportError as error:
        raise ModelError(f"{uri} needs mlflow, which is not installed; pip install mlflow") from error
    try:
        downloaded = Path(download_artifacts(uri, dst_path=mkdtemp(dir=directory)))
    except Exception as error:  # mlflow's own, and those of whichever store it talks to
        raise ModelError(f"{uri} cannot be fetched: {str(error).splitlines()[0]}") from error
    files = sorted(downloaded.rglob("*.onnx"))
    if len(files) != 1:
        raise ModelError(f"{uri} holds {len(files)} ONNX files; exactly one can be served")
    name = uri.removeprefix(REGISTRY).partition("@")[0].partition("/")[0]
    return files[0].replace(Path(directory) / f"{name}.onnx")
