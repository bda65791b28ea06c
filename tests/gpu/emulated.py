"""A bundle whose kernels are PTX, run by the emulator: peftc's own text for a GPU, and a shared object that calls it (`Kernels.cpp`) where a CPU's code would be."""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
from bundle import functions_of, gpu_bundle  # noqa: E402
from subject import BIN, load_file, run, save_file, write_rows  # noqa: E402

CPU = "x86-64-v3"
GRID = (3, 96)  # blocks, threads: whole warps, which rows may need; 288 threads and 9 warps divide no number of tasks here but by chance


class Emulated:
    """`change`: of the PTX's text, before it runs."""

    def __init__(self, folder, model, text, target, change=lambda text: text, grid=GRID):
        self.folder = pathlib.Path(folder)
        self.bundle, spec = self.folder / "bundle", self.folder / "spec.peft"
        self.folder.mkdir(parents=True, exist_ok=True)
        spec.write_text(text)
        plan = gpu_bundle(spec, model, self.bundle, target)
        self.symbols = functions_of(plan)
        self.ptx = run(BIN / "peftc", spec, "--model", model, "--emit=ptx", "--target", target)
        assert f".target {target}" in self.ptx
        self.shared_object()
        self.change(change, grid)

    def change(self, change=lambda text: text, grid=GRID):
        (self.bundle / "kernels.ptx").write_text(change(self.ptx))
        (self.bundle / "grid.txt").write_text("%d %d" % grid)

    def shared_object(self):
        """The functions that the runtime looks for. The system's compiler, as tests/runtime/cpu has it."""
        folder = json.dumps(str(self.bundle))
        source = "extern void emulateKernel(const char *, const char *, const void *, long, long);\n" + "".join(
            f"void {symbol}(const void *call, long begin, long end) {{ emulateKernel({folder}, \"{symbol}\", call, begin, end); }}\n" for symbol in sorted(self.symbols))
        (self.folder / "kernels.c").write_text(source)
        library = BIN.parent / "lib"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.bundle / f"kernels/{CPU}.so", self.folder / "kernels.c", f"-L{library}", f"-Wl,-rpath,{library}", "-lemulated-kernels"], check=True)

    def runner(self, *words, emulated=True):
        # Products of the whole batch are not in a GPU's module.
        environment = ["env", f"PEFT_CPU_TARGET={CPU}", "PEFT_PRODUCTS=library"] if emulated else []
        return run(*environment, BIN / "peft-runner", "--bundle", self.bundle, *words, "--threads", 1)

    def inspect(self, rows, init, emulated=True):
        """Loss, logits and gradients of a batch: by the emulator, or by the reference interpreter."""
        data, out = write_rows(self.folder / "batch.jsonl", rows), self.folder / "inspect.safetensors"
        self.runner("inspect", "--data", data, "--out", out, *(["--init", init] if init else []), *([] if emulated else ["--reference"]), emulated=emulated)
        return load_file(out)

    def save_init(self, tensors):
        path = self.folder / "init.safetensors"
        save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, path)
        return path

    def ran(self):
        """Instructions of each kernel that ran."""
        counts = {}
        for line in (self.bundle / "ran.txt").read_text().splitlines():
            symbol, count = line.split()
            counts[symbol] = counts.get(symbol, 0) + int(count)
        return counts

    def kernel(self, symbol):
        """The text of an entry."""
        return re.search(rf"\.visible \.entry {symbol}__entry\(.*?^}}", self.ptx, re.M | re.S)[0]
