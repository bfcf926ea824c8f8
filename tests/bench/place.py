"""The folder that all files are in, and the programs that are run."""

import contextlib
import os
import shutil

import proc

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def human(size):
    for unit, name in (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"


class Place:
    def __init__(self, folder, build):
        self.folder = folder
        self.haul = os.path.join(build, "haul")
        self.floor = os.path.join(build, "tests", "bench", "floor")
        self.load = os.path.join(build, "tests", "bench", "load")

    def path(self, name):
        return os.path.join(self.folder, name)

    def need(self, size):
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise proc.Failure(f"no room for {size} bytes in {self.folder}")

    def filled(self, path, some, size):
        self.need(size)
        with open(path, "wb") as f:
            for begin in range(0, size, len(some)):
                f.write(some[:size - begin])
        return path

    def file(self, size):
        """A file of random bytes."""
        path = self.path(f"file-{size}")
        if not os.path.exists(path):
            self.filled(path, os.urandom(min(size, 16 * MIB)), size)
        return path

    def lines(self, size):
        """A file of lines of 1 KiB, the newline included."""
        path = self.path(f"lines-{size}")
        if not os.path.exists(path):
            self.filled(path, (b"x" * (KIB - 1) + b"\n") * KIB, size)
        return path

    def sparse_file(self, size):
        path = self.path(f"sparse-{size}")
        with open(path, "wb") as f:
            f.truncate(size)
        return path

    def tree(self, files, size):
        """A folder of folders of a hundred files of random bytes each."""
        path = self.path(f"tree-{files}-{size}")
        if not os.path.exists(path):
            for n in range(files):
                folder = os.path.join(path, f"{n // 100:03}")
                os.makedirs(folder, exist_ok=True)
                with open(os.path.join(folder, f"{n:05}"), "wb") as f:
                    f.write(os.urandom(size))
        return path

    def warm(self, path):
        """Have a file in memory, as the last to use it may not have left it."""
        with open(path, "rb") as f:
            while f.read(MIB):
                pass

    def remove(self, name):
        path = self.path(name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def text(self, name):
        """What is in a file."""
        with contextlib.suppress(FileNotFoundError):
            with open(self.path(name), errors="replace") as f:
                return f.read()
        return ""
