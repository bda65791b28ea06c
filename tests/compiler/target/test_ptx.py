"""PTX of every kernel, for every GPU of Targets.def: NVIDIA's assembler takes it, in silence, and each kernel of the plan has its entry there; and what
`--target` refuses. No GPU is needed."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "conversion"), str(pathlib.Path(__file__).parents[2] / "gpu")]
from compiles import GOOD, ROOT, CompilerTest  # noqa: E402
from bundle import functions_of, gpu_plan  # noqa: E402
from test_kernels import METHODS, USES  # noqa: E402
from subject import tiny_bert  # noqa: E402

TARGETS = re.findall(r'^PEFT_GPU_TARGET\("(\w+)"', (ROOT / "compiler/target/Targets.def").read_text(), re.M)
EVERY_METHOD = ("sm_80", "sm_90a")


def ptxas():
    found = list(pathlib.Path(os.environ["PEFT_VENV"]).glob("lib/python3*/site-packages/nvidia/cu13/bin/ptxas"))
    assert len(found) == 1, f"{os.environ['PEFT_VENV']} has no ptxas: setup/requirements.txt says which package has it"
    return found[0]


class Ptx(CompilerTest):
    def program(self, method, precision="fp32"):
        return self.write("s.peft", f"{USES}model base = bert\ntask classify(labels = 5)\n{METHODS[method]}\ntrain head\noptimize adamw(lr = 1e-3)\nrun {{ base_dropout = 0.1, precision = {precision} }}\n")

    def ptx(self, spec, target, model=None):
        return self.peftc(spec, "-m", model or self.model, "--emit=ptx", "--target", target)[0]

    def assemble(self, text, target):
        """Exit code and messages of the assembler, which also resolves all names."""
        self.write("kernels.ptx", text)
        done = subprocess.run([ptxas(), "-v", f"-arch={target}", "kernels.ptx", "-o", "kernels.cubin"], cwd=self.here, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def check(self, spec, target, model=None, most=0):
        """`most`: bytes of a thread's that may lie in memory."""
        self.peftc(spec, "-m", model or self.model, "--bundle", "checked", "--target", target, env={**os.environ, "PEFT_PTXAS": "none"})
        symbols = functions_of(gpu_plan(self.here / "checked"))
        self.assertGreater(len(symbols), 10)
        code, said = self.assemble(self.ptx(spec, target, model), target)
        self.assertEqual(code, 0, said)
        self.assertNotRegex(said, r"(?i)warning|error")
        self.assertEqual(set(re.findall(r"Compiling entry function '(\w+)' for '" + target, said)), {f"{symbol}__entry" for symbol in symbols})
        self.assertLessEqual(max(int(frame) for frame in re.findall(r"(\d+) bytes stack frame", said)), most, "a kernel's call or vectors lie in memory")
        return len(symbols), max(map(int, re.findall(r"Used (\d+) registers", said)))

    def test_every_method(self):
        for method in METHODS:
            spec = self.program(method)
            for target in EVERY_METHOD:
                with self.subTest(method=method, target=target):
                    print(f"{method}, {target}: %d kernels, at most %d registers" % self.check(spec, target), flush=True)

    def test_bf16(self):
        text = self.ptx(self.program("lora", "bf16"), "sm_80")
        self.assertRegex(text, r"st\.(global\.)?(b|u)16")
        self.check(self.program("lora", "bf16"), "sm_80")

    def test_tensor_cores(self):
        """Products of rows in the kernels that make them, for every target. Blocks of 512 threads have 128 registers for each, which is a few too little for some: some words go to memory, no vector of a row."""
        wide = str(self.here / "wide")
        tiny_bert.make(wide, hidden_size=192, num_attention_heads=3, intermediate_size=128)
        spec = self.write("wide.peft", f"{USES}model base = bert\ntask classify(labels = 5)\nattach lora(r = 16) to layers[*].** where kind == linear\ntrain head\noptimize adamw(lr = 1e-3)\nrun {{ precision = bf16, branches = fused }}\n")
        for target in TARGETS:
            with self.subTest(target):
                self.assertIn("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", self.ptx(spec, target, wide))
                self.check(spec, target, wide, most=64)

    def test_every_target(self):
        told = self.peftc("--help")[0]
        self.assertGreater(len(TARGETS), 3)
        self.assertLess(set(EVERY_METHOD), set(TARGETS))
        spec = self.program("lora")
        for target in TARGETS:
            with self.subTest(target):
                self.assertRegex(told, rf"--target GPU .*\b{target}\b")
                self.check(spec, target)

    def test_what_is_of_no_program(self):
        """The runtime's own text, for the oldest generation: newer ones take it."""
        text, = re.findall(r'R"ptx\((.*)\)ptx"', (ROOT / "runtime/cuda/Moves.ptx.inc").read_text(), re.S)
        for target in TARGETS:
            with self.subTest(target):
                code, said = self.assemble(text, target)
                self.assertEqual((code, "warning" in said.lower()), (0, False), said)

    def test_the_assembler_would_complain(self):
        text = self.ptx(self.program("lora"), "sm_80")
        for old, new in (("fma.rn.f32", "fma.rn.f33"), (".entry rows_1__entry", ".entry rows_2__entry"), (".target sm_80", ".target sm_90a"), (r"mov.u32 \t%r\d+, %ctaid.x", "call.uni absent")):
            wrong, count = re.subn(old, new, text, count=1)
            self.assertEqual(count, 1, old)
            self.assertNotEqual(self.assemble(wrong, "sm_80")[0], 0, new)

    def test_kept(self):
        """Equal programs have equal text, from the cache or not; each kernel is kept by itself."""
        spec = self.program("lora")
        cache = self.here / "cache"
        environment = {**os.environ, "PEFT_CACHE": str(cache)}
        words = (spec, "-m", self.model, "--emit=ptx", "--target=sm_80")
        first = self.peftc(*words, env=environment)
        kept = set(cache.rglob("*.ptx"))
        self.assertGreater(len(kept), 10)
        entry = next(path for path in sorted(kept) if b"fma.rn.f32" in path.read_bytes())
        self.assertEqual(self.peftc(*words, env=environment), first)
        entry.write_bytes(entry.read_bytes().replace(b"fma.rn.f32", b"fma.rm.f32"))
        self.assertIn("fma.rm.f32", self.peftc(*words, env=environment)[0])
        entry.write_bytes(entry.read_bytes()[:-9])
        self.assertEqual(self.peftc(*words, env=environment), first)
        self.peftc(self.program("dora"), *words[1:], env=environment)
        self.assertLess(len(set(cache.rglob("*.ptx")) - kept), len(kept) / 2)  # most are in both programs

    def test_kernels_of_a_gpu(self):
        self.write("s.peft", GOOD)
        for words, convention in (([], ""), (["--target=sm_80"], "ptx_kernelcc")):
            text = self.peftc("s.peft", "-m", self.model, "--emit=kernels", *words)[0]
            self.assertEqual("ptx_kernelcc" in text, bool(convention))

    def bundle(self, spec, *words, **environment):
        """The GPU's sections of a bundle."""
        self.peftc(spec, "-m", self.model, "--bundle", "bundle", *words, env={**os.environ, **environment})
        return {path.name: path.read_bytes() for path in (self.here / "bundle/kernels").iterdir() if path.suffix != ".so"}

    def test_bundle(self):
        """Beside the CPUs' code a bundle holds the PTX that `--emit=ptx` prints, and what the assembler makes of it."""
        spec = self.program("lora")
        self.assertEqual(self.bundle(spec), {})
        both = self.bundle(spec, "--target", "sm_80,sm_90a", PEFT_PTXAS=str(ptxas()))
        self.assertEqual(set(both), {f"{target}.{suffix}" for target in ("sm_80", "sm_90a") for suffix in ("ptx", "cubin", "json")})
        for target in ("sm_80", "sm_90a"):
            self.assertEqual(both[f"{target}.ptx"].decode(), self.ptx(spec, target))
            self.assertEqual(json.loads(both[f"{target}.json"]), {"flat_share": 4})
            self.assertTrue(both[f"{target}.cubin"].startswith(b"\x7fELF"))
            self.assertIn(b"rows_1__entry", both[f"{target}.cubin"])
        self.assertEqual(self.bundle(spec, "--target", "sm_80,sm_90a", PEFT_PTXAS=str(ptxas())), both)  # as it was kept
        text = self.bundle(spec, "--target", "sm_80", PEFT_PTXAS="none")
        self.assertEqual(text, {name: both[name] for name in ("sm_80.ptx", "sm_80.json")})
        self.assertEqual(self.bundle(spec), {})

    def test_an_assembler_that_fails(self):
        spec = self.program("lora")
        old = self.write("old-ptxas", "#!/bin/sh\necho 'ptxas fatal: Value sm_90a is not defined' >&2\nexit 1\n")
        (self.here / old).chmod(0o755)
        cache = tempfile.TemporaryDirectory()
        self.addCleanup(cache.cleanup)
        for assembler, said in ((str(self.here / old), "sm_90a: ptxas fatal: Value sm_90a is not defined"), ("/nowhere/ptxas", "sm_90a: ")):
            environment = {**os.environ, "PEFT_PTXAS": assembler, "PEFT_CACHE": cache.name}
            self.refused("E0703", [said, "PEFT_PTXAS"], spec, "-m", self.model, "--bundle", "out", "--target", "sm_90a", env=environment)

    def test_refusals(self):
        self.write("s.peft", GOOD)
        words = ("s.peft", "-m", self.model)
        for target in ("sm_10", "sm_90", "x86-64-v3", "SM_80"):
            self.refused("E0608", [f"`{target}`", *TARGETS], *words, "--emit=ptx", "--target", target)
            self.refused("E0608", [f"`{target}`", *TARGETS], *words, "-o", "out", "--target", target)
            self.refused("E0608", [f"`{target}`", *TARGETS], *words, "-o", "out", "--target", f"sm_80,{target}")
        self.usage(["one target", "-o FILE"], *words, "--emit=ptx", "--target", "sm_80,sm_90a")
        self.usage(["for which GPU?", *TARGETS], *words, "--emit=ptx")
        self.usage(["`--emit=nn`", "--emit=ptx"], *words, "--emit=nn", "--target", "sm_80")
        self.usage("`--target` needs a value", *words, "--emit=ptx", "--target")
        self.usage("`--model DIR` is missing", "s.peft", "--emit=ptx", "--target", "sm_80")


if __name__ == "__main__":
    unittest.main()
