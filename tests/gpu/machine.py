"""A GPU for tests: a folder with a libcuda.so.1 (tests/gpu/driver) that the emulator serves, and a trainer that is run under it."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
from bundle import Scratch  # noqa: E402
from subject import BIN, tiny_bert, write_rows  # noqa: E402

DRIVER = BIN.parent / "lib/libcuda-for-tests.so"
BLAS = BIN.parent / "lib/libcublasLt-for-tests.so"
TARGET = "sm_80"
SPEC = """use peft.methods.{lora}
model base = bert
task classify(labels = 3)
attach lora(r = 4, dropout = 0.1) to layers[*].attention.{q, v}
train head
optimize adamw(lr = 1e-2)
run { epochs = 2, batch = 4, base_dropout = 0.1, max_length = 24, clip = 1.0 }
"""


class Gpu:
    """`settings`: tests/gpu/driver/Machine.h. `blas`: there is a cuBLASLt, with these settings (tests/gpu/blas/Blas.cpp)."""

    def __init__(self, folder, blas=None, **settings):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        (self.folder / "libcuda.so.1").symlink_to(DRIVER)
        (self.folder / "gpu.txt").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self.blas = None if blas is None else self.folder / "libcublasLt.so"
        if self.blas:
            self.blas.symlink_to(BLAS)
            (self.folder / "blas.txt").write_text("".join(f"{name} {value}\n" for name, value in blas.items()))

    @property
    def environment(self):
        return {"LD_LIBRARY_PATH": str(self.folder), "PEFT_TORCH_CUDA": "none", **({"PEFT_CUBLASLT": str(self.blas)} if self.blas else {})}

    def launches(self):
        """A line a launch: kernel, blocks, threads, instructions."""
        path = self.folder / "ran.txt"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def counts(self, file="counts.txt"):
        return {name: int(value) for name, value in (line.split() for line in (self.folder / file).read_text().splitlines())}


class Trainer:
    """A program compiled for a CPU and a GPU."""

    def __init__(self, folder, model, text, target=TARGET):
        self.folder, self.bundle = pathlib.Path(folder), pathlib.Path(folder) / "bundle"
        self.folder.mkdir(parents=True)
        (self.folder / "spec.peft").write_text(text)
        self.command([BIN / "peftc", self.folder / "spec.peft", "--model", model, "--bundle", self.bundle, "--target", target], {"PEFT_PTXAS": "none"})

    @staticmethod
    def command(words, environment, code=0):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env={**os.environ, **environment})
        if done.returncode != code:
            raise AssertionError(f"{' '.join(map(str, words))}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
        return done

    def run(self, *words, gpu=None, code=0, environment={}):
        return self.command([BIN / "peft-runner", "--bundle", self.bundle, *words], {**(gpu.environment if gpu else {}), **environment}, code)

    def rows(self, name, rows):
        return write_rows(self.folder / name, rows)

    def metrics(self, out):
        return [json.loads(line) for line in (pathlib.Path(out) / "metrics.jsonl").read_text().splitlines()]


class SmallTrainer(Scratch):
    """`trainer`, of `SPEC` for the small model in `folder`."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tiny_bert.make(cls.folder / "model")
        cls.trainer = Trainer(cls.folder / "subject", cls.folder / "model", SPEC)
