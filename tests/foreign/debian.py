"""Debian's packages, binaries and sources, below a directory: nothing is installed on the machine."""

import os
import pathlib
import re
import shutil
import subprocess

COMPONENTS = """\
{kind} http://deb.debian.org/debian {release} main
{kind} http://deb.debian.org/debian-security {release}-security main
"""


class Debian:
    """What apt-get and dpkg have put below `directory`, with package lists of its own."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.root = self.directory / "root"
        self.libraries = str(self.root / "usr/lib/x86_64-linux-gnu")
        self.lists = self.directory / "apt/lists"

    def apt(self, *arguments, cwd=None):
        options = {"Dir::Etc::sourcelist": self.directory / "apt/sources.list",
                   "Dir::Etc::sourceparts": "-", "Dir::State::lists": self.lists,
                   "APT::Sandbox::User": "root"}
        command = ["apt-get", "-qq"] + [f"-o{name}={value}" for name, value in options.items()]
        return subprocess.run(command + list(arguments), cwd=cwd, check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def update(self):
        if (self.lists / "partial").is_dir():
            return
        system = pathlib.Path("/etc/os-release").read_text()
        release = re.search(r"VERSION_CODENAME=(\w+)", system)[1]
        self.lists.mkdir(parents=True, exist_ok=True)
        (self.directory / "apt/sources.list").write_text(
            "".join(COMPONENTS.format(kind=kind, release=release) for kind in ("deb", "deb-src")))
        self.apt("update")

    def install(self, packages):
        """Unpacks the packages, and those that they need and the machine lacks, below `root`."""
        files = self.directory / "packages"
        files.mkdir(parents=True, exist_ok=True)
        done = files / "done"
        have = done.read_text().split() if done.exists() else []
        missing = [package for package in packages if package not in have]
        if not missing:
            return
        self.update()
        plan = self.apt("install", "--simulate", "--no-install-recommends", *missing)
        wanted = [f"{name}={version}"
                  for name, version in re.findall(r"^Inst (\S+) (?:\[.*?\] )?\((\S+)", plan, re.M)]
        if wanted:
            self.apt("download", *wanted, cwd=files)
        for file in files.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", file, self.root], check=True)
            file.unlink()
        done.write_text("\n".join(have + missing))

    def source(self, package):
        """The directory with the sources as Debian has patched them."""
        target = self.directory / "sources" / package
        if not target.is_dir():
            self.update()
            parent = target.with_suffix(".part")
            shutil.rmtree(parent, ignore_errors=True)
            parent.mkdir(parents=True)
            self.apt("source", package, cwd=parent)
            [unpacked] = [path for path in parent.iterdir() if path.is_dir()]
            unpacked.rename(target)
            shutil.rmtree(parent)
        return target

    @property
    def environment(self):
        """For a program below `root` that is not judged."""
        return {**os.environ, "LD_LIBRARY_PATH": self.libraries}

    def program(self, name):
        folders = ["usr/bin", "usr/sbin", "usr/lib/postgresql/15/bin"]
        for place in (self.root, pathlib.Path("/")):
            for folder in folders:
                if (place / folder / name).is_file():
                    return place / folder / name
        raise FileNotFoundError(name)
