"""Images for the test of a node: the two of deploy/image, one with the software NPU, one to wait in."""
import importlib.machinery
import importlib.util
import io
import pathlib
import subprocess
import tarfile

TREE = pathlib.Path(__file__).resolve().parents[2]


def load_builder():
    path = str(TREE / "deploy/image/build")
    loader = importlib.machinery.SourceFileLoader("image_build", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("image_build", loader))
    loader.exec_module(module)
    return module


def layout_tar(folder, to):
    with tarfile.open(to, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False)


def write_single(builder, files, name, config, to):
    """An image of one layer: files {path: (mode, bytes)}."""
    import gzip
    import hashlib
    import json
    import tempfile

    contents = builder.Contents()
    for path, (mode, data) in files.items():
        contents.add(path, data, mode)
    layer = builder.tar(contents, 0)
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream:
        stream.write(layer)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        layout = builder.Layout(folder)
        image = {"architecture": builder.NATIVE, "os": "linux", "config": config,
                 "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}
        manifest = layout.json({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                                "config": layout.json(image, "config.v1+json"),
                                "layers": [layout.blob(packed.getvalue(), "layer.v1.tar+gzip")]}, "manifest.v1+json")
        manifest["annotations"] = {"io.containerd.image.name": name}
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        layout_tar(folder, to)


def build(work, build_dir):
    """Tars for `ctr image import`, in work; build_dir has the test delegate and the software NPU."""
    builder = load_builder()
    tars = []
    for name in ("plugin", "server"):
        subprocess.run([str(TREE / "deploy/image/build"), "--work", str(work / "image"), name, str(work / f"oci-{name}")],
                       check=True)
        tars.append(work / f"{name}.tar")
        layout_tar(work / f"oci-{name}", tars[-1])
    small = {}
    for name in ("pause", "open"):
        subprocess.run(["cc", "-Os", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-o", str(work / name),
                        str(TREE / f"tests/k8s/{name}.c")], check=True)
        small[f"/{name}"] = (0o755, (work / name).read_bytes())
    tars.append(work / "pause.tar")
    write_single(builder, small, "localhost/pause:1", {"Entrypoint": ["/pause"]}, tars[-1])
    # The server's files, the software NPU and a delegate that makes jobs for it.
    contents = builder.server_contents(builder.NATIVE, work / "image", None)
    files = dict(contents.files)
    for path, to in ((build_dir / "src/device/emu/libscree-emu.so", "/usr/lib/scree/libscree-emu.so"),
                     (build_dir / "tests/delegate/libtest_delegate.so", "/usr/lib/teflon/libteflon.so")):
        files[to] = (0o644, path.read_bytes())
    tars.append(work / "emulated.tar")
    write_single(builder, files, "localhost/scree-emulated:1", {
        "Entrypoint": ["/usr/bin/scree"], "Cmd": ["serve"], "User": f"{builder.USER}:{builder.USER}",
        "Env": ["PATH=/usr/bin"]}, tars[-1])
    return tars
