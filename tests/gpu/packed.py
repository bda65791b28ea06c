"""A pack where it is run: trainers, and the tensors that they write. Needs Python and torch; nothing is installed, nothing is fetched."""
import json
import lzma
import os
import pathlib
import struct
import subprocess

import torch

HERE = pathlib.Path(__file__).resolve().parent
DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "I64": torch.int64, "BOOL": torch.bool, "F64": torch.float64}


class Failed(Exception):
    pass


def read_tensors(path):
    """A safetensors file."""
    bytes_ = bytearray(pathlib.Path(path).read_bytes())
    size, = struct.unpack("<Q", bytes_[:8])
    tensors = {}
    for name, entry in json.loads(bytes_[8 : 8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + place for place in entry["data_offsets"])
            flat = torch.frombuffer(bytes_[begin:end], dtype=DTYPES[entry["dtype"]]) if end > begin else torch.empty(0, dtype=DTYPES[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


class Packed:
    def __init__(self, folder, scratch):
        self.folder, self.scratch, self.name = pathlib.Path(folder), pathlib.Path(scratch) / folder.name, folder.name
        self.scratch.mkdir(parents=True)
        for path in list((self.folder / "bundle").rglob("*.xz")):
            path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
            path.unlink()
        # The library's way back adds in no fixed order.
        self.is_exact = "attention_backward" not in (self.folder / "bundle/plan.gpu.json").read_text()
        self.precision = "bf16" if "precision = bf16" in (self.folder / "spec.peft").read_text() else "fp32"

    @property
    def command(self):
        """The words that start the trainer."""
        return [HERE / "peft-runner", "--bundle", self.folder / "bundle"]

    @staticmethod
    def environment():
        return {"PEFT_TORCH_LIB": str(pathlib.Path(torch.__path__[0]) / "lib"), **os.environ}

    def run(self, *words):
        """What the trainer says; on the device that the words name."""
        done = subprocess.run([str(word) for word in (*self.command, *words)], capture_output=True, text=True, env=self.environment())
        if done.returncode:
            raise Failed(f"{self.name}: {' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def inspect(self, *words):
        out = self.scratch / "inspect.safetensors"
        self.run("inspect", "--model", self.folder / "model", "--data", self.folder / "valid.jsonl", "--out", out, *words)
        return read_tensors(out)

    def trained(self, name, *words):
        """Losses of steps, and of evaluations."""
        out = self.scratch / name
        self.run("train", "--model", self.folder / "model", "--data", self.folder / "train.jsonl", "--valid", self.folder / "valid.jsonl", "--out", out, *words)
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        return [line["loss"] for line in lines if "loss" in line], [line["eval"]["loss"] for line in lines if "eval" in line]


def subjects(only):
    found = sorted(path for path in (HERE / "subjects").iterdir() if not only or path.name in only.split(","))
    if not found:
        raise Failed(f"no subject of the pack is `{only}`")
    return found
