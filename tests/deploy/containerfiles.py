#!/usr/bin/env python3
"""The Containerfiles, built: their images are those of deploy/image/build, file by file.

usage: containerfiles.py ROOT FOLDER [plugin|server]...

Needs root, buildah, mmdebstrap and Debian's mirror, but no registry: the image that FROM names is made by mmdebstrap.
Everything is kept in FOLDER for the next time. Without the tools it exits with 77: skipped, with the reason.
"""
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

from images import PROGRAMS, expect, read

ROOT, FOLDER = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
STORE = FOLDER / "containers"
NEEDED = ("buildah", "mmdebstrap")
# Containers and images of this test alone.
BUILDAH = ["buildah", "--root", STORE / "root", "--runroot", STORE / "run"]


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **more)
    if done.returncode != 0:
        raise SystemExit(f"FAIL {' '.join(str(c) for c in command[:8])} ...:\n{done.stdout[-3000:]}")
    return done.stdout.strip()


def buildah(*arguments):
    """What it prints last: a name, where it makes something."""
    return run(*BUILDAH, *arguments).split("\n")[-1]


def make_base(name):
    """The image that FROM names, if it is not there: a Debian of the release, with nothing more than apt."""
    known = run(*BUILDAH, "images", "--format", "{{.Name}}:{{.Tag}}")
    if name in known.split():
        return
    suite = {"12": "bookworm", "13": "trixie"}[name.rsplit(":", 1)[1]]
    archive = FOLDER / f"{suite}.tar"
    run("mmdebstrap", "--variant=minbase", suite, archive)
    container = buildah("from", "scratch")
    buildah("add", container, archive, "/")
    buildah("commit", "--rm", container, name)
    archive.unlink()


def files_of(root):
    """{path: (mode, digest)} of an image's files."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            found["/" + path.relative_to(root).as_posix()] = (path.lstat().st_mode & 0o7777,
                                                             hashlib.sha256(data).hexdigest())
    return found


def build_other(image):
    """The image of deploy/image/build, made where the Containerfile's first stage has been."""
    container = buildah("from", "--pull=never", f"localhost/{image}-build")
    try:
        buildah("run", "--isolation=chroot", container, "--", "/src/deploy/image/build", "--work", "/build", image, "/oci")
        mounted = pathlib.Path(buildah("mount", container))
        shutil.copytree(mounted / "oci", FOLDER / f"oci-{image}", dirs_exist_ok=True)
    finally:
        buildah("rm", container)
    return read(FOLDER / f"oci-{image}")


def check(image, context):
    path = context / f"deploy/image/Containerfile.{image}"
    make_base(re.search(r"^FROM (\S+) AS build$", path.read_text(), re.M).group(1))
    common = ["bud", "--layers", "--pull=never", "--isolation=chroot", "-f", path]
    buildah(*common, "--target", "build", "-t", f"localhost/{image}-build", context)
    buildah(*common, "-t", f"localhost/{image}", context)
    container = buildah("from", "--pull=never", f"localhost/{image}")
    try:
        found = files_of(pathlib.Path(buildah("mount", container)))
    finally:
        buildah("rm", container)
    _, config, entries = build_other(image)
    wanted = {name: (mode, hashlib.sha256(data).hexdigest()) for name, (mode, data) in entries.items()}
    expect(f"{image}: the same {len(wanted)} files{difference(found, wanted)}", found == wanted)
    own = json.loads(run(*BUILDAH, "inspect", "--type", "image", f"localhost/{image}"))["OCIv1"]["config"]
    for name in ("User", "Entrypoint", "Cmd", "ExposedPorts", "Env"):
        expect(f"{image}: {name} {own.get(name)}", own.get(name) == config["config"].get(name))
    expect(f"{image}: labels", own["Labels"].items() & config["config"]["Labels"].items() >=
           {("org.opencontainers.image.title", PROGRAMS[image]), ("org.opencontainers.image.licenses", "MIT")})


def difference(one, other):
    """Names of what differs, for who has to find out why."""
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return f" but {', '.join(names[:8])}" if names else ""


def main():
    lacking = [name for name in NEEDED if not shutil.which(name)]
    if lacking or os.geteuid() != 0:
        print(f"skipped: {'no ' + ', '.join(lacking) if lacking else 'not root'}")
        return 77
    # Of what is committed: a copy that stays as it is while it is built, twice.
    context = FOLDER / "context"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    run("sh", "-c", f"git -C {shlex.quote(str(ROOT))} archive HEAD | tar -x -C {shlex.quote(str(context))}")
    for image in sys.argv[3:] or PROGRAMS:
        check(image, context)
    return 0


if __name__ == "__main__":
    sys.exit(main())
