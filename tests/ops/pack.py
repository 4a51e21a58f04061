"""The two files of the suite: packs, which opdiff reads, and expectations, which are committed.

A pack is b"SOPS0001", u32 n_cases, then for each case (all numbers little-endian):
    text name, text op, text description      u32 length, bytes
    blob model                                u32 length, bytes
    u32 by how many millionths floats may differ, u32 n_runs, u32 n_inputs, u32 n_outputs
    for each run: n_inputs blobs, then n_outputs tensors
A model of no bytes stands for a case that has changed since its expectation was made.
A tensor is u32 TensorType, u32 rank, u32 dims[rank], blob.

An expectation file is xz of b"SOPE0001", text of what made it, u32 n_cases, then for each case
    text name, u8 hash[8] of model and inputs, u32 n_runs, u32 n_outputs, n_runs * n_outputs tensors
The hash notices a generator that no longer draws what the outputs were computed for.
"""

import hashlib
import lzma
import pathlib
import struct

EXPECTED_DIR = pathlib.Path(__file__).resolve().parent / "expected"


class Built:
    """A case in bytes: its model, the inputs of each run, and the outputs once they are known."""

    def __init__(self, family, case, model):
        self.family, self.name, self.op, self.text = family, case.name, case.op, case.text()
        self.model, self.runs, self.options = model, case.runs(), case.options
        self.millionths = case.millionths
        self.outputs = None  # for each run a list of (TensorType, dims, bytes)

    def forget(self):
        """Leaves only the name: the case is no longer what its expectation was made for."""
        self.model, self.runs, self.outputs = b"", [], []

    def hash(self):
        """Eight bytes that stand for the model and its inputs."""
        digest = hashlib.sha256(self.model)
        for run in self.runs:
            for data in run:
                digest.update(data)
        return digest.digest()[:8]


def _blob(data):
    return struct.pack("<I", len(data)) + data


def _text(text):
    return _blob(text.encode())


def _tensor(tensor):
    number, dims, data = tensor
    return struct.pack(f"<II{len(dims)}I", number, len(dims), *dims) + _blob(data)


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def blob(self):
        return self.take(self.u32())

    def text(self):
        return self.blob().decode()

    def tensor(self):
        number, rank = self.u32(), self.u32()
        dims = tuple(self.u32() for _ in range(rank))
        return number, dims, self.blob()


def write_pack(path, cases):
    """Writes a pack of Built cases, all with outputs."""
    chunks = [b"SOPS0001", struct.pack("<I", len(cases))]
    for case in cases:
        chunks += [_text(case.name), _text(case.op), _text(case.text), _blob(case.model)]
        chunks.append(struct.pack("<I", case.millionths))
        counts = (len(case.runs), len(case.runs[0]), len(case.outputs[0])) if case.runs else [0] * 3
        chunks.append(struct.pack("<III", *counts))
        for inputs, outputs in zip(case.runs, case.outputs):
            chunks += [_blob(data) for data in inputs]
            chunks += [_tensor(tensor) for tensor in outputs]
    pathlib.Path(path).write_bytes(b"".join(chunks))


def write_expected(family, made_by, cases):
    """Writes expected/FAMILY.xz."""
    chunks = [b"SOPE0001", _text(made_by), struct.pack("<I", len(cases))]
    for case in cases:
        chunks += [_text(case.name), case.hash(),
                   struct.pack("<II", len(case.outputs), len(case.outputs[0]))]
        chunks += [_tensor(tensor) for outputs in case.outputs for tensor in outputs]
    EXPECTED_DIR.mkdir(exist_ok=True)
    (EXPECTED_DIR / f"{family}.xz").write_bytes(lzma.compress(b"".join(chunks), preset=9))


def read_expected(family):
    """{name: (hash, outputs of each run)} of expected/FAMILY.xz."""
    path = EXPECTED_DIR / f"{family}.xz"
    if not path.exists():
        return {}
    reader = _Reader(lzma.decompress(path.read_bytes()))
    if reader.take(8) != b"SOPE0001":
        raise SystemExit(f"{path} is not a file of expectations")
    reader.text()
    expected = {}
    for _ in range(reader.u32()):
        name, digest, n_runs, n_outputs = reader.text(), reader.take(8), reader.u32(), reader.u32()
        expected[name] = digest, [[reader.tensor() for _ in range(n_outputs)]
                                  for _ in range(n_runs)]
    return expected
