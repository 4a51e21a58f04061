"""A virtual machine with a kernel of Debian's and this machine's files, to run enter.py with cgroups of version 2."""
import gzip
import lzma
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BEFORE_ROOT = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
AFTER_ROOT = ("bridge", "br_netfilter", "veth", "nf_tables", "nft_chain_nat", "nft_ct", "nft_masq", "nft_redir", "nft_reject_inet",
              "nft_numgen", "nft_hash", "nft_fib_inet", "nf_conntrack", "fuse")
SCRIPT = """set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm /dev/mqueue && mount -t devpts devpts /dev/pts && mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 folder %(folder)s
modprobe -d %(modules)s -a %(names)s
ip link set lo up
code=0
export SCREE_CHECK_PATIENCE=%(patience)d
%(command)s >/dev/ttyS1 2>&1 || code=$?
echo "ended: $code" >/dev/ttyS1
sync
echo o >/proc/sysrq-trigger
while :; do :; done
"""


def module_files(folder, version, names):
    """Files of the modules, each after what it needs."""
    root = folder / "lib/modules" / version
    needs = dict(line.split(":", 1) for line in (root / "modules.dep").read_text().splitlines())
    paths = {pathlib.Path(p).name.split(".ko")[0].replace("-", "_"): p for p in needs}
    found = []
    for name in names:
        if name in paths:
            found += [root / p for p in [*reversed(needs[paths[name]].split()), paths[name]]]
    return list(dict.fromkeys(found))


def cpio(files):
    """An archive of files {name: (mode, bytes)} as the kernel unpacks it."""
    out = b""
    for number, (name, (mode, data)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], 1):
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def initramfs(folder, version, work):
    init = work / "vm_init"
    subprocess.run(["cc", "-Os", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-o", str(init),
                    str(HERE / "vm_init.c")], check=True)
    files, names = {"init": (0o100755, init.read_bytes())}, []
    for path in module_files(folder, version, BEFORE_ROOT):
        data = path.read_bytes()
        names.append(path.name.removesuffix(".xz"))
        files[names[-1]] = (0o100644, lzma.decompress(data) if path.suffix == ".xz" else data)
    files["modules"] = (0o100644, "".join(f"/{name}\n" for name in names).encode())
    to = work / "initramfs"
    to.write_bytes(gzip.compress(cpio(files), 1))
    return to


def unpack(package, work):
    """(folder, version) of the kernel in one of Debian's packages linux-image-*.deb."""
    folder = work / "kernel"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    if (folder / "usr/lib/modules").is_dir() and not (folder / "lib").exists():
        (folder / "lib").symlink_to("usr/lib")
    version = next((folder / "boot").glob("vmlinuz-*")).name.split("-", 1)[1]
    subprocess.run(["depmod", "-b", str(folder), version], check=True)
    return folder, version


def run(package, accelerator, work, folder, *arguments):
    """What check.py returns, with these arguments after its folder, in a machine with the kernel of the package.

    accelerator: kvm, or tcg, which is twenty times slower; None for the one that there is"""
    accelerator = accelerator or ("kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg")
    kernel, version = unpack(package.resolve(), work)
    names = [f.name.split(".ko")[0] for f in module_files(kernel, version, AFTER_ROOT)]
    command = [sys.executable, str(HERE / "enter.py"), str(folder), *(str(a) for a in arguments)]
    script = work / "vm.sh"
    script.write_text(SCRIPT % {"folder": shlex.quote(str(folder)), "modules": shlex.quote(str(kernel)),
                                "names": " ".join(names), "patience": 1 if accelerator == "kvm" else 20,
                                "command": shlex.join(command)})
    share = "local,path={},mount_tag={},security_model=none,multidevs=remap{}"
    process = subprocess.Popen(
        ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-m", "4G", "-smp", str(os.cpu_count()),
         "-accel", accelerator, "-cpu", "host,arch-capabilities=off" if accelerator == "kvm" else "max",
         "-kernel", str(kernel / f"boot/vmlinuz-{version}"), "-initrd", str(initramfs(kernel, version, work)),
         "-append", f"console=ttyS0 panic=-1 script={script}",
         "-virtfs", share.format("/", "root", ",readonly=on"), "-virtfs", share.format(folder, "folder", ""),
         "-serial", f"file:{folder}/kernel.log", "-serial", "stdio"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    code = None
    try:
        for line in process.stdout:
            if line.startswith("ended: "):
                code = int(line.split()[1])
            else:
                print(line.rstrip(), flush=True)
        process.wait()
    finally:
        process.kill()
        process.wait()
    if code is None:
        print(f"the machine has ended early:\n{(folder / 'kernel.log').read_text(errors='replace')[-2000:]}", flush=True)
    return 1 if code is None else code
