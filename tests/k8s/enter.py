#!/usr/bin/env python3
"""Runs check.py in namespaces and cgroups of its own, and removes the cgroups.

usage: enter.py FOLDER TOOLS CONTAINERD standalone|cluster|chart IMAGE.tar...    as root
"""
import os
import pathlib
import signal
import subprocess
import sys
import time

NAMESPACES = ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]


def cgroup_mounts():
    lines = [line.split(" - ") for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    return [(pathlib.Path(left.split()[4]), pathlib.Path(left.split()[3]), right.split()[0], right.split()[2])
            for left, right in lines if right.split()[0] in ("cgroup", "cgroup2")]


def own_groups():
    """The cgroups that this process is in, one for each hierarchy that is mounted."""
    paths = {}
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        paths[frozenset(names.split(",")) if names else "cgroup2"] = path
    groups = []
    for mount, root, kind, options in cgroup_mounts():
        for names, path in paths.items():
            if names == kind or (kind == "cgroup" and names != "cgroup2" and names <= set(options.split(","))):
                groups.append(mount / os.path.relpath(path, root))
    return groups


def pass_on(group):
    """Lets the groups below have all controllers."""
    has = (group / "cgroup.subtree_control").read_text().split()
    for controller in (group / "cgroup.controllers").read_text().split():
        if controller not in has:
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def make_groups():
    """Groups for the node, one in each hierarchy; where there is version 2 alone, below its root.

    Also the name of the group below for processes: with version 2 those that pass controllers on have none."""
    made, groups, inside = [], own_groups(), ""
    if [kind for _, _, kind, _ in cgroup_mounts()] == ["cgroup2"]:
        groups = [cgroup_mounts()[0][0]]
        pass_on(groups[0])
        inside = "init"
    for group in groups:
        folder = group / f"scree-check-{os.getpid()}"
        folder.mkdir()
        if (group / "cpuset.mems").exists():
            for name in ("cpuset.cpus", "cpuset.mems"):
                (folder / name).write_text((group / name).read_text())
            if (folder / "cgroup.clone_children").exists():
                (folder / "cgroup.clone_children").write_text("1")
        (folder / inside).mkdir(exist_ok=True)
        made.append(folder)
    return made, inside


def remove_groups(groups):
    """Ends whatever is still in the groups, and removes them from the leaves up."""
    for group in groups:
        for _ in range(100):
            folders = sorted((p for p in group.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts))
            for folder in [*folders, group]:
                try:
                    for number in (folder / "cgroup.procs").read_text().split():
                        os.kill(int(number), signal.SIGKILL)
                    folder.rmdir()
                except OSError:
                    pass
            if not group.exists():
                break
            time.sleep(0.1)


def end_on_signals():
    """A signal to end lets what is in `finally` happen."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("ended"))


def run(*arguments):
    """What check.py returns."""
    groups, inside = make_groups()
    enter, below = ("".join(f"echo $$ >{group / name}/cgroup.procs; " for group in groups) for name in ("", inside))
    check = pathlib.Path(__file__).resolve().with_name("check.py")
    process = subprocess.Popen(
        ["sh", "-ec", enter + 'exec setpriv --pdeathsig KILL unshare --cgroup "$@"', "sh", "sh", "-ec", below + 'exec "$@"',
         "sh", *NAMESPACES, sys.executable, str(check), *(str(a) for a in arguments)], start_new_session=True)
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()
        remove_groups(groups)


if __name__ == "__main__":
    end_on_signals()
    sys.exit(run(*sys.argv[1:]))
