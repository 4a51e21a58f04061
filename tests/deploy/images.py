#!/usr/bin/env python3
"""The images: what is in them, that they are the same each time, and how large they are.

usage: images.py ROOT [plugin|plugin-arm64|server|server-arm64|server-mesa]...

Without names: the plugin's, which takes seconds. The server's is the whole program: minutes; server-mesa is that for
arm64 with Mesa's delegate. Exit code 77: skipped, with the reason.
"""
import gzip
import hashlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(sys.argv[1])
BUILD = ROOT / "deploy/image/build"
# Name: what to build, the options for it, and how many bytes the files may have, unpacked.
IMAGES = {"plugin": ("plugin", [], 3_000_000),
          "plugin-arm64": ("plugin", ["--arch", "arm64"], 3_000_000),
          "server": ("server", [], 30_000_000),
          "server-arm64": ("server", ["--arch", "arm64"], 30_000_000),
          "server-mesa": ("server", ["--arch", "arm64", "--teflon", "trixie-backports"], 45_000_000)}
PROGRAMS = {"plugin": "scree-device-plugin", "server": "scree"}


def expect(what, good):
    if not good:
        raise SystemExit(f"FAIL {what}")
    print(f"ok {what}")


def build(image, folder, *options):
    output = folder / "out"
    done = subprocess.run([BUILD, "--work", folder / "work", *options, image, output], text=True,
                          capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"FAIL {done.stderr.strip()}")
    return output


def blob(output, descriptor):
    """A blob, whose digest and size are those that were told."""
    data = (output / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    expect(f"{descriptor['mediaType'].split('.')[-1]}: {len(data)} bytes, of its digest",
           "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"] and
           len(data) == descriptor["size"])
    return data


def read(output):
    """The manifest's digest, the configuration and the entries of the one layer."""
    descriptor = json.loads((output / "index.json").read_text())["manifests"][0]
    manifest = json.loads(blob(output, descriptor))
    config = json.loads(blob(output, manifest["config"]))
    layer = gzip.decompress(blob(output, manifest["layers"][0]))
    expect("the layer is the configuration's",
           config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()])
    entries = {}
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        for entry in archive:
            expect_plain(entry)
            if entry.isfile():
                entries["/" + entry.name] = (entry.mode, archive.extractfile(entry).read())
    return descriptor["digest"], config, entries


def expect_plain(entry):
    if entry.uid or entry.gid or entry.mtime or entry.uname or not (entry.isfile() or entry.isdir()):
        raise SystemExit(f"FAIL {entry.name} has an owner, a time, or is neither a file nor a folder")
    if entry.mode & 0o6022 and entry.name != "tmp":
        raise SystemExit(f"FAIL {entry.name} has mode {entry.mode:o}")


def check_containerfile(image, config):
    """The Containerfile says of the image what its configuration says."""
    text = (ROOT / f"deploy/image/Containerfile.{image}").read_text()
    own = config["config"]
    found = {"USER": own["User"], "ENTRYPOINT": json.dumps(own["Entrypoint"])}
    if "Cmd" in own:
        found["CMD"] = json.dumps(own["Cmd"])
    if "ExposedPorts" in own:
        found["EXPOSE"] = next(iter(own["ExposedPorts"]))
    for name, value in found.items():
        expect(f"Containerfile: {name} {value}",
               re.findall(rf"^{name} (.*)$", text, re.M)[-1:] == [value])
    expect("Containerfile: no other command", ("\nCMD" in text) == ("Cmd" in own))


def check(name, folder):
    image, options, limit = IMAGES[name]
    one, two = folder / "one", folder / "two"
    digest, config, entries = read(build(image, one, *options))
    expect(f"{name}: the same digest twice, {digest}", digest == read(build(image, two, *options))[0])
    size = sum(len(data) for _, data in entries.values())
    expect(f"{size / 1e6:.2f} MB of at most {limit / 1e6:.0f}", size <= limit)
    shutil.rmtree(two / "out")
    plain = build(image, two, "--files", *options)
    files = {"/" + p.relative_to(plain).as_posix(): (p.stat().st_mode & 0o777, p.read_bytes())
             for p in plain.rglob("*") if p.is_file()}
    expect(f"the Containerfile copies the same {len(entries)} files", files == entries)
    check_containerfile(image, config)
    listed = (one / "out/files.txt").read_text().split()[1::2]
    expect("files.txt and the image agree", set(listed) == set(entries))
    bill = json.loads(entries["/usr/share/doc/scree/sbom.spdx.json"][1])
    names = {p["name"] for p in bill["packages"]}
    expect(f"the bill of materials has {len(names)} packages, all with a version",
           "scree" in names and len(names) > 2 and
           all(p["versionInfo"] not in ("", "unknown") for p in bill["packages"]))
    program = f"/usr/bin/{PROGRAMS[image]}"
    for place in (str(ROOT.resolve()), str(folder)):
        expect("no path of this machine in the program", place.encode() not in entries[program][1])
    user = config["config"]["User"]
    expect(f"user {user}, labels", user == ("0:0" if image == "plugin" else "65532:65532") and
           len(config["config"]["Labels"]) >= 5)
    check_running(plain, program, options)


def check_running(plain, program, options):
    """The program starts with the image's files alone; that for another processor by an emulator."""
    emulator = ["qemu-aarch64", "-L", plain] if options else []
    loader = [] if emulator or "device-plugin" in program else [
        next(plain.glob("lib*/ld-linux-*")), "--library-path", next(plain.glob("usr/lib/*-linux-gnu"))]
    if emulator and not shutil.which(emulator[0]):
        print("skipped running it: no qemu-aarch64")
        return
    done = subprocess.run([*emulator, *loader, plain / program.lstrip("/"), "--version"], text=True,
                          capture_output=True, check=False)
    expect(done.stdout.strip(), done.returncode == 0 and done.stdout.startswith(pathlib.Path(program).name))


def main():
    for needed in ("meson", "ninja", "readelf", "dpkg"):
        if not shutil.which(needed):
            print(f"skipped: no {needed}")
            return 77
    for image in sys.argv[2:] or ["plugin"]:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="scree-image-"))
        try:
            check(image, folder)
        finally:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
