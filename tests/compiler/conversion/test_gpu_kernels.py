"""The kernels that become PTX, run on this CPU against the reference interpreter (fp64): `--emit=kernels --target` with a GPU's lanes and entries, whose threads
one loop after the other stands for. What is a GPU's alone (its assembler, its memory, threads at once) is not asked here; tests/compiler/target asks the first."""
import pathlib
import re
import sys
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).resolve().parents[2] / "gpu")]
import test_kernels  # noqa: E402
from test_kernels import LABELS, METHODS, TOLERANCES, USES  # noqa: E402
from bundle import OddModel, gpu_bundle  # noqa: E402
from subject import BIN, Subject, compare, load_file, run, write_rows  # noqa: E402

LENGTHS = ([1, 1, 2], [127, 1, 129, 16, 33], [17] * 9)
GPU, CPU = "sm_90a", "x86-64-v3"
BLOCKS, THREADS = 3, 5  # of the grid; 15 divides no number of tasks here but by chance
COORDINATES = {"ctaid": "@block", "tid": "@thread"}

STATE = "llvm.mlir.global internal @block(0 : i32) : i32\nllvm.mlir.global internal @thread(0 : i32) : i32\n"
# What the runtime calls; it works alone, so that `begin` is 0 and the scratch of one thread serves all.
GRID = """
llvm.func @NAME(%call: !llvm.ptr, %begin: i64, %tasks: i64) {
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %blocks = arith.constant BLOCKS : i32
  %threads = arith.constant THREADS : i32
  %none = arith.constant 0 : i64
  %block_place = llvm.mlir.addressof @block : !llvm.ptr
  %thread_place = llvm.mlir.addressof @thread : !llvm.ptr
  scf.for %block = %zero to %blocks step %one : i32 {
    llvm.store %block, %block_place : i32, !llvm.ptr
    scf.for %thread = %zero to %threads step %one : i32 {
      llvm.store %thread, %thread_place : i32, !llvm.ptr
      llvm.call @NAME__entry(%call, %tasks, %none) : (!llvm.ptr, i64, i64) -> ()
    }
  }
  llvm.return
}
"""


def on_cpu(text):
    """A GPU's module as one whose functions a trainer calls."""
    names = re.findall(r"llvm\.func internal @(\w+)\(", text)
    assert len(names) > 10 and len(re.findall("ptx_kernelcc", text)) == len(names)
    text = re.sub(r"@(" + "|".join(names) + r")\b", r"@\1__body", text)
    text = text.replace("llvm.func ptx_kernelcc ", "llvm.func internal ")
    text = re.sub(r" \{llvm\.byval = [^{}]*\}", "", text)

    def coordinate(match):
        value, what = match[1], match[2]
        if what in COORDINATES:
            place = f"%place{value[1:]}"
            return f"{place} = llvm.mlir.addressof {COORDINATES[what]} : !llvm.ptr\n{value} = llvm.load {place} : !llvm.ptr -> i32"
        return f"{value} = arith.constant {dict(nctaid=BLOCKS, ntid=THREADS)[what]} : i32"

    text, count = re.subn(r'(%\w+) = llvm\.call_intrinsic "llvm\.nvvm\.read\.ptx\.sreg\.(\w+)\.x"\(\) : \(\) -> i32', coordinate, text)
    assert count == 4 * len(names) and "nvvm" not in text
    grids = "".join(GRID.replace("NAME", name) for name in names).replace("BLOCKS", str(BLOCKS)).replace("THREADS", str(THREADS))
    end = text.rindex("}")
    return text[:end] + STATE + grids + "}\n"


class GpuSubject(Subject):
    """A bundle whose code for one CPU is that of a GPU."""

    def __init__(self, folder, model, text, change=lambda text: text):
        super().__init__(folder, model, text)
        self.bundle, spec, changed = self.folder / "bundle", self.folder / "spec.peft", self.folder / "kernels.mlir"
        gpu_bundle(spec, model, self.bundle)
        changed.write_text(on_cpu(change(run(BIN / "peftc", spec, "--model", model, "--emit=kernels", "--target", GPU))))
        run(BIN / "shared-of", changed, CPU, self.bundle / f"kernels/{CPU}.so")

    def inspect_gpu(self, rows, init):
        data, out = write_rows(self.folder / "batch.jsonl", rows), self.folder / "gpu.safetensors"
        # Products of the whole batch are not in the GPU's module.
        run("env", f"PEFT_CPU_TARGET={CPU}", "PEFT_PRODUCTS=library", BIN / "peft-runner", "--bundle", self.bundle, "inspect", "--data", data, "--out", out, "--init", init, "--threads", 1)
        return load_file(out)


class GpuKernels(OddModel):
    rows, started = test_kernels.Kernels.rows, test_kernels.Kernels.started

    def subject(self, method, **options):
        text = f"{USES}model base = bert\ntask classify(labels = {LABELS})\n{METHODS[method]}\ntrain head\noptimize adamw(lr = 1e-3)\n"
        return GpuSubject(self.folder / method.replace(" ", "_"), self.folder / "odd", text, **options)

    def worst(self, subject, all_lengths=LENGTHS):
        init, worst = self.started(subject), 0.0
        for lengths in all_lengths:
            rows = self.rows(lengths)
            worst = max(worst, compare(subject.inspect_gpu(rows, init), subject.inspect(rows, init, "--reference"), TOLERANCES["fp32"]))
        return worst

    def test_methods(self):
        for method in METHODS:
            with self.subTest(method):
                print(f"{method}: {self.worst(self.subject(method)):.1e}", flush=True)

    def test_optimizer(self):
        """A few steps: the flat kernel, at a number of elements that no vector divides."""
        subject = self.subject("lora")
        rows, init = self.rows([3, 9, 5, 2]), self.started(subject)
        data = write_rows(subject.folder / "train.jsonl", rows)
        losses = {}
        for name, words in (("gpu", ["env", f"PEFT_CPU_TARGET={CPU}", "PEFT_PRODUCTS=library", BIN / "peft-runner", "--bundle", subject.bundle]), ("cpu", [subject.trainer])):
            out = subject.folder / name
            run(*words, "train", "--data", data, "--out", out, "--init", init, "--set", "run.shuffle=false", "--set", "run.epochs=6", "--set", "run.batch=2", "--threads", 1)
            losses[name] = [float(loss) for loss in re.findall(r'"loss": ?([0-9.e-]+)', (out / "metrics.jsonl").read_text())]
        self.assertGreater(len(losses["cpu"]), 10)
        self.assertEqual(len(losses["gpu"]), len(losses["cpu"]))
        self.assertGreater(max(losses["cpu"]) - min(losses["cpu"]), 0.01)
        for ours, theirs in zip(losses["gpu"], losses["cpu"]):
            self.assertAlmostEqual(ours, theirs, delta=2e-5)

    def test_a_wrong_entry_is_seen(self):
        """Threads that do others' shares: the reference disagrees."""
        change = lambda text: text.replace('sreg.tid.x"', 'sreg.ntid.x"')  # noqa: E731
        with self.assertRaisesRegex(AssertionError, "differs by|is missing"):
            self.worst(self.subject("lora", change=change), LENGTHS[:1])


if __name__ == "__main__":
    unittest.main()
