#!/usr/bin/env python3
"""The flake, the package and the NixOS module, evaluated: what they make of configurations, and what they refuse.

usage: nix.py ROOT BUILD      BUILD for the programs whose settings are written

Needs nix-instantiate and the library of nixpkgs: SCREE_NIXPKGS_LIB, or lib in what NIX_PATH has as nixpkgs. Nothing
is built, and nothing is written to a store. Without Nix it exits with 77: skipped, with the reason.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT, BUILD = (pathlib.Path(p).resolve() for p in sys.argv[1:])
FILES = [ROOT / "flake.nix", *sorted((ROOT / "deploy/nix").glob("*.nix")), ROOT / "tests/deploy/system.nix"]
failures = []


def expect(what, good, seen=""):
    print(("ok " if good else "FAIL ") + what + (f": {seen}" if seen and not good else ""))
    if not good:
        failures.append(what)


def nix(*arguments):
    environment = {**os.environ, "NIX_CONFIG": "build-users-group =\nextra-experimental-features = flakes"}
    return subprocess.run(["nix-instantiate", *map(str, arguments)], text=True, capture_output=True, check=False,
                          env=environment)


def find_library():
    named = os.environ.get("SCREE_NIXPKGS_LIB")
    if named:
        return named
    done = nix("--find-file", "nixpkgs")
    library = pathlib.Path(done.stdout.strip()) / "lib"
    return library if done.returncode == 0 and library.exists() else None


class Flake:
    def __init__(self, library):
        self.library = library

    def evaluate(self, settings, kernel="6.18.1"):
        """What the module makes of `hardware.scree = settings`, or the text of what is wrong."""
        done = nix("--eval", "--strict", "--json", "--readonly-mode", "--store", "dummy://",
                   ROOT / "tests/deploy/system.nix", "--arg", "root", ROOT, "--arg", "lib", self.library,
                   "--argstr", "kernel", kernel, "--argstr", "configuration",
                   json.dumps({"hardware": {"scree": settings}}))
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr


# ---- the package ------------------------------------------------------------------------------------

SUBSTITUTE = """set -eu
substituteInPlace() {
    files=
    while [ "${1#--}" = "$1" ]; do files="$files $1"; shift; done
    for file in $files; do
        grep -qF -e "$2" "$file" || { echo "there is no $2 in $file"; exit 1; }
        sed -i "s|$2|$3|g" "$file"
    done
}
"""


def check_package(said):
    for system, package in sorted(said["packages"].items()):
        expect(f"{system}: {package['name']} is a derivation", package["path"].endswith(f"-{package['name']}.drv"))
        expect(f"{system}: the default", package["same"] and package["mainProgram"] == "scree")
    expect("checks are for the same systems", said["checks"] == sorted(said["packages"]))
    package = said["packages"]["aarch64-linux"]
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text()).group(1)
    expect("the version of meson.build", package["name"] == f"scree-{version}", package["name"])
    for option in package["mesonFlags"]:
        name = re.match(r"-D(\w+)=", option).group(1)
        expect(f"meson has the option {name}", f"option('{name}'" in (ROOT / "meson_options.txt").read_text())
    with tempfile.TemporaryDirectory() as folder:
        tree, out = pathlib.Path(folder) / "source", pathlib.Path(folder) / "out"
        (tree / "build").mkdir(parents=True)
        shutil.copytree(ROOT / "deploy", tree / "deploy", symlinks=True)
        done = subprocess.run(["bash", "-c", SUBSTITUTE + package["postInstall"]], cwd=tree / "build", text=True,
                              capture_output=True, check=False, env={**os.environ, "out": str(out)})
        expect("what is done after the installation", done.returncode == 0, done.stdout + done.stderr)
        units = sorted((out / "lib/systemd/system").glob("*"))
        expect("the units", [u.name for u in units] == ["scree-device-plugin.service", "scree-serve.service",
                                                        "scree-serve.socket"], units)
        for unit in units:
            commands = re.findall(r"^Exec\w+=(\S+)", unit.read_text(), re.M)
            expect(f"{unit.name}: programs that NixOS has",
                   all(c == "/bin/sh" or c.startswith(f"{out}/bin/") for c in commands), commands)
        expect("the udev rule", (out / "lib/udev/rules.d/60-scree.rules").exists())


# ---- the module -------------------------------------------------------------------------------------

def check_guide(said):
    """The table of options in the guide is that of the module."""
    text = (ROOT / "deploy/README.md").read_text()
    told = set(re.findall(r"^\| `(hardware\.scree\.[\w.]+)` \|", text, re.M))
    found = {option["path"] for option in said["options"]}
    expect(f"the guide has the {len(found)} options", told == found, told ^ found)
    expect("each has a description", all(option["described"] for option in said["options"]))


def check_plain(flake):
    off = flake.evaluate({})
    expect("not enabled: nothing", not off["kernelModules"] and not off["systemPackages"] and not off["services"] and
           not off["groups"], off)
    said = flake.evaluate({"enable": True})
    expect("no assertion fails", said["failed"] == [], said["failed"])
    expect("the driver is loaded", said["kernelModules"] == ["rocket"])
    expect("the program is there", [f"{p}/bin" for p in said["systemPackages"]] == [said["program"]])
    expect("its udev rule is used", said["udev"] == {"packages": said["systemPackages"], "rules": ""}, said["udev"])
    expect("Mesa's delegate is named", said["sessionVariables"] ==
           {"SCREE_TEFLON": f"{said['mesa']}/lib/libteflon.so"}, said["sessionVariables"])
    expect("no service", not said["services"] and not said["sockets"] and not said["units"] and not said["ports"])
    return said


def check_server(flake):
    said = flake.evaluate({"enable": True, "users": ["alice"], "renderLink": True, "serve": {
        "enable": True, "port": 9000, "openFirewall": True,
        "settings": {"server": {"log-format": "json", "queue": 4}, "model mobilenet": {"instances": 3}}}})
    expect("users are members of group render", said["groups"] == {"render": ["alice"]}, said["groups"])
    expect("the link for an old Mesa", 'SYMLINK+="dri/renderD180"' in said["udev"]["rules"], said["udev"])
    expect("the socket", said["sockets"]["scree-serve"]["listenStreams"] == ["", "9000"], said["sockets"])
    expect("the firewall", said["ports"] == [9000], said["ports"])
    service = said["services"]["scree-serve"]
    expect("the service has the package's unit", said["units"] == said["systemPackages"] and
           not service["serviceConfig"], service)
    expect("it has the delegate", service["environment"] == said["sessionVariables"], service)
    text = said["files"]["scree/serve.ini"]
    expect("it starts again when its settings change", service["restartTriggers"][0].endswith("-serve.ini"))
    expect("the folder for models", any(r.startswith("d /var/lib/scree/models ") for r in said["tmpfiles"]))
    check_settings(text)
    closed = flake.evaluate({"enable": True, "serve": {"enable": True}, "teflon": {"package": None}})
    expect("closed unless it is opened", closed["ports"] == [])
    expect("without a delegate none is named", closed["sessionVariables"] == {} and
           closed["services"]["scree-serve"]["environment"] == {}, closed["sessionVariables"])


def check_settings(text):
    """The server reads the file that the module writes."""
    program = BUILD / "src/cli/scree"
    if not program.exists():
        print(f"skipped what the server says of its settings: no {program.name} is built")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "serve.ini"
        path.write_text(text)
        done = subprocess.run([program, "serve", "--config", path, "--check-config"], text=True, capture_output=True,
                              check=False)
    lines = done.stdout.splitlines()
    expect("the server takes its settings", done.returncode == 0 and
           {"models = /var/lib/scree/models", "log-format = json", "queue = 4", "[model mobilenet]",
            "instances = 3"} <= set(lines), done.stderr or text)


def check_plugin(flake):
    said = flake.evaluate({"enable": True, "devicePlugin": {"enable": True, "settings": {
        "shares": 6, "exclusive": True, "log-format": "json", "resource": "example.org/a$b%c"}}})
    service = said["services"]["scree-device-plugin"]
    reset, command = service["serviceConfig"]["ExecStart"]
    expect("the plugin's command takes the place of the unit's",
           reset == "" and command.split()[0] == f"{said['program']}/scree-device-plugin", command)
    options = command.split()[1:]
    expect("its options, quoted for systemd", options == [
        '"--cdi-dir=/run/cdi"', '"--exclusive=true"', '"--log-format=json"', '"--probe-seconds=60"',
        '"--resource=example.org/a$$b%%c"', '"--shares=6"'], options)
    known = (ROOT / "src/plugin/options.inc").read_text()
    for option in options:
        name = re.match(r'"--([\w-]+)=', option).group(1)
        expect(f"the plugin has the option {name}", f'("{name}",' in known)
    expect("its folders are made", {r.split()[1] for r in said["tmpfiles"]} ==
           set(re.findall(r"^d (\S+)", (ROOT / "deploy/systemd/scree-device-plugin.conf").read_text(), re.M)))
    expect("the unit is the package's", said["units"] == said["systemPackages"])


def check_refused(flake):
    old = flake.evaluate({"enable": True}, "6.12.9")
    expect("a kernel without the driver", len(old["failed"]) == 1 and "6.12.9" in old["failed"][0], old["failed"])
    for settings, said in (({"enabled": True}, "hardware.scree.enabled"),
                           ({"enable": True, "serve": {"enable": True, "port": 70000}}, "hardware.scree.serve.port"),
                           ({"enable": True, "users": "alice"}, "hardware.scree.users"),
                           ({"enable": True, "devicePlugin": {"enable": True, "settings": {"shares": [3]}}},
                            "hardware.scree.devicePlugin.settings.shares")):
        found = flake.evaluate(settings)
        expect(f"{json.dumps(settings)} is refused", isinstance(found, str) and f"`{said}'" in found, found)


def main():
    if not shutil.which("nix-instantiate"):
        print("skipped: no nix-instantiate")
        return 77
    for path in FILES:
        done = nix("--parse", "--store", "dummy://", path)
        expect(f"{path.relative_to(ROOT)} is Nix", done.returncode == 0, done.stderr)
    library = find_library()
    if not library:
        print("skipped: no library of nixpkgs, in NIX_PATH or SCREE_NIXPKGS_LIB")
        return 1 if failures else 77
    flake = Flake(library)
    said = check_plain(flake)
    check_package(said)
    check_guide(said)
    check_server(flake)
    check_plugin(flake)
    check_refused(flake)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
