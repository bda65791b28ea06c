"""Products by cuBLASLt with algorithms that a trainer chose, under the driver and the cuBLASLt for tests: LibTorch's numbers; the fastest is found, kept, and found again;
never for long; and what goes wrong is LibTorch's."""
import importlib.util
import json
import mmap
import os
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
from machine import SPEC, Gpu, SmallTrainer, Trainer  # noqa: E402
from subject import BIN, random_rows  # noqa: E402

KINDS = 7  # of candidates, tests/gpu/blas/Blas.cpp
FIRST, REFUSES, FASTEST, LARGE, NOT, SLOW, SECOND = range(KINDS)
NOTHING = {"timed": 0, "cached": 0, "untimed": 0, "library": 0, "seconds": 0}


class Gemms(SmallTrainer):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rows = cls.trainer.rows("rows.jsonl", [random_rows(1, 3, lengths=(5, 5), seed=seed)[0] for seed in range(12)])
        cls.half = Trainer(cls.folder / "halves", cls.folder / "model", SPEC.replace("run {", "run { precision = bf16,"))

    @property
    def own(self):
        return self.folder / self.id().rpartition(".")[2]

    def cached(self, cache="cache"):
        """The files, by their names."""
        return {path.name: json.loads(path.read_text()) for path in (self.own / cache / "peftc/gemms").glob("*.json")}

    def trained(self, name, *words, blas={}, trainer=None, environment={}, cache="cache", code=0, rows=None, **settings):
        """Its GPU, its report, what it said and its metrics."""
        gpu, out = Gpu(self.own / "gpus" / name, blas, **settings), self.own / name
        done = (trainer or self.trainer).run("train", "--data", rows or self.rows, "--out", out, "--device", "cuda", "--json", *words, gpu=gpu, environment={"XDG_CACHE_HOME": str(self.own / cache), **environment}, code=code)
        return gpu, json.loads(done.stdout) if code == 0 else None, done.stderr, self.trainer.metrics(out) if code == 0 else None

    def near(self, ours, theirs, tolerance):
        ours, theirs = [[line[what] for line in lines for what in ("loss", "grad_norm") if what in line] for lines in (ours, theirs)]
        self.assertEqual(len(ours), len(theirs))
        self.assertGreater(len(ours), 11)
        for a, b in zip(ours, theirs):
            self.assertLess(abs(a - b), tolerance * max(1, abs(b)))

    def tidy(self, gpu):
        counts = gpu.counts("blas.counts.txt")
        self.assertEqual((counts["objects_left"], counts["handles_left"], gpu.counts()["graphs_left"], gpu.counts()["left_bytes"]), (0, 0, 0, 0))
        return counts

    def test_numbers(self):
        """Of factors that lie in either direction, of sums apart and in place."""
        gpu, report, said, ours = self.trained("ours")
        self.assertEqual((report["gemms"]["library"], report["gemms"]["untimed"]), (0, 0))
        self.assertGreater(report["gemms"]["timed"], 10)
        self.near(ours, self.trained("theirs", blas=None)[3], 1e-4)
        self.tidy(gpu)
        names = " ".join(next(iter(self.cached().values()))["products"])
        for word in ("; a turned", "; b turned", "; added in place", " f32;"):
            self.assertIn(word, names)
        self.assertNotIn("cuBLASLt", said)

    def test_bf16(self):
        """Results in bf16, and gradients in f32 of bf16: to what a sum that is rounded once more is off by."""
        gpu, report, _, ours = self.trained("ours", trainer=self.half)
        self.assertEqual((report["gemms"]["library"], report["gemms"]["untimed"]), (0, 0))
        self.near(ours, self.trained("theirs", blas=None, trainer=self.half)[3], 1e-2)
        self.tidy(gpu)
        names = " ".join(next(iter(self.cached().values()))["products"])
        for word in (" bf16;", " bf16 to f32;"):
            self.assertIn(word, names)

    def test_weights_with_borders(self):
        """Rows that lie in tables, and products that are multiplied by a number."""
        for layout in ("bordered", "added"):
            trainer = Trainer(self.own / layout / "subject", self.folder / "model", SPEC.replace("run {", f"run {{ layout = {layout},").replace("dropout = 0.1) to", "alpha = 8, dropout = 0) to"))
            gpu, report, _, ours = self.trained(layout + "/ours", trainer=trainer)
            self.assertEqual(report["gemms"]["library"], 0)
            self.near(ours, self.trained(layout + "/theirs", blas=None, trainer=trainer)[3], 1e-4)
            self.tidy(gpu)

    def test_the_fastest(self):
        for fastest in (FASTEST, SECOND):
            gpu, report, _, _ = self.trained(f"fastest is {fastest}", blas={"fastest": fastest}, cache=f"cache {fastest}")
            shapes, counts = report["gemms"]["timed"], self.tidy(gpu)
            self.assertEqual(counts["heuristics"], shapes)
            # Once to load it, once by itself, eight in a graph that is launched four times; what is refused once, and what is slow is not timed again.
            self.assertEqual([counts[f"asked_{kind}"] for kind in (FIRST, REFUSES, LARGE, NOT, SLOW)], [10 * shapes, shapes, 0, 0, 2 * shapes])
            self.assertEqual([counts[f"ran_{kind}"] for kind in (FIRST, SLOW)], [34 * shapes, 2 * shapes])
            self.assertGreater(counts[f"ran_{fastest}"], 34 * shapes)
            for entry in next(iter(self.cached(f"cache {fastest}").values()))["products"].values():
                self.assertEqual((int(entry["algorithm"][16:32], 16), round(entry["microseconds"], 2)), (fastest, 10))

    def test_the_cache(self):
        _, first, _, metrics = self.trained("first")
        shapes = first["gemms"]["timed"]
        gpu, second, said, again = self.trained("second")
        self.assertEqual((second["gemms"]["timed"], second["gemms"]["cached"], second["gemms"]["seconds"]), (0, shapes, 0))
        counts = self.tidy(gpu)
        self.assertEqual((counts["heuristics"], counts["checks"], sum(counts[f"asked_{kind}"] for kind in range(KINDS) if kind != FASTEST)), (0, shapes, 0))
        self.assertEqual(metrics, again)
        self.assertNotIn("algorithms", said)
        (name, file), = self.cached().items()
        self.assertEqual((name, file["device"], file["cublaslt"], len(file["products"])), ("emulated-gpu-sm_90-2-cublaslt-130100.json", "emulated GPU sm_90 2", 130100, shapes))
        # Another library and another GPU have files of their own.
        for name, blas, settings in (("library", {"version": 130200, "fastest": SECOND}, {}), ("GPU", {}, {"multiprocessors": 3})):
            _, report, _, _ = self.trained(name, blas=blas, **settings)
            self.assertEqual((report["gemms"]["timed"], report["gemms"]["cached"]), (shapes, 0))
        self.assertEqual(len(self.cached()), 3)
        self.assertEqual(self.trained("and again")[1]["gemms"]["cached"], shapes)

    def test_a_cache_that_is_none(self):
        shapes = self.trained("first")[1]["gemms"]["timed"]
        (name, good), = self.cached().items()
        path = self.own / "cache/peftc/gemms" / name
        some = next(iter(good["products"]))
        broken = {"cut": json.dumps(good)[:-20], "empty": "", "list": "[]", "device": json.dumps({**good, "device": "another"}), "format": json.dumps({**good, "format": 2}),
                  "digits": json.dumps({**good, "products": {some: {"algorithm": "x" * 128, "microseconds": 1}}}), "kinds": json.dumps({**good, "products": {some: 7}})}
        for what, text in broken.items():
            path.write_text(text)
            _, report, said, _ = self.trained(what)
            self.assertEqual((report["gemms"]["timed"], report["gemms"]["cached"]), (shapes, 0), what)
            self.assertEqual(said.count("is not what a trainer wrote there"), 1, what)
            self.assertEqual(json.loads(path.read_text()).keys(), good.keys())
            self.assertEqual(self.cached()[name]["products"].keys(), good["products"].keys())
        # An algorithm that the library does not know is chosen again, and nothing need be said.
        path.write_text(json.dumps({**good, "products": {**good["products"], some: {"algorithm": "0" * 128, "microseconds": 1}}}))
        _, report, said, _ = self.trained("unknown")
        self.assertEqual((report["gemms"]["timed"], report["gemms"]["cached"]), (1, shapes - 1))
        self.assertNotIn("is not what", said)
        self.assertEqual({shape: one["algorithm"] for shape, one in self.cached()[name]["products"].items()}, {shape: one["algorithm"] for shape, one in good["products"].items()})

    def test_a_cache_that_cannot_be_written(self):
        self.own.mkdir()
        (self.own / "file").write_text("")
        _, report, said, _ = self.trained("none", cache="file")
        self.assertGreater(report["gemms"]["timed"], 0)
        self.assertEqual(said.count("note: which algorithms of products are the fastest is not kept"), 1)

    def test_no_time_left(self):
        """The fourth shape comes to 2.8 s: others go by the library's first, which nobody is told of."""
        gpu, report, _, ours = self.trained("slow", blas={"slow_calls": 4})
        gemms = report["gemms"]
        self.assertEqual(gemms["timed"], 3)
        self.assertGreater(gemms["untimed"], 7)
        self.assertTrue(2 < gemms["seconds"] < 3, gemms)
        self.assertGreater(self.tidy(gpu)[f"ran_{FIRST}"], gemms["untimed"])
        self.assertEqual(len(next(iter(self.cached().values()))["products"]), 3)
        self.near(ours, self.trained("theirs", blas=None)[3], 1e-4)
        _, report, _, _ = self.trained("again")  # which have their time then
        self.assertEqual((report["gemms"]["cached"], report["gemms"]["timed"], report["gemms"]["untimed"]), (3, gemms["untimed"], 0))

    def test_left_to_libtorch(self):
        theirs = self.trained("theirs", blas=None)[3]
        gpu, report, said, metrics = self.trained("asked", environment={"PEFT_GEMMS": "library"})
        self.assertEqual((report["gemms"], metrics), (NOTHING, theirs))
        self.assertFalse((gpu.folder / "blas.counts.txt").exists())
        self.assertNotIn("note: products are LibTorch's", said)
        *_, said, _ = self.trained("word", environment={"PEFT_GEMMS": "maybe"}, code=2)
        self.assertIn("PEFT_GEMMS is `maybe`", said)
        for name, blas, note in (("does not start", {"starts": 0}, "note: products are LibTorch's, with the algorithms that it has: cuBLASLt is not to be had (it does not start: CUBLAS_STATUS_NOT_INITIALIZED)"),
                                 ("knows none", {"none": 1}, "(CUBLAS_STATUS_NOT_SUPPORTED): LibTorch does"), ("refuses", {"refuses": 1}, "(CUBLAS_STATUS_EXECUTION_FAILED): LibTorch does")):
            gpu, report, said, metrics = self.trained(name, blas=blas)
            self.assertEqual(metrics, theirs, name)
            self.assertEqual(said.count(note), 1, said)
            self.assertEqual(said.count("cuBLASLt"), 1, said)
            self.assertEqual((report["gemms"]["timed"], report["gemms"]["library"] > 0), (0, name != "does not start"))
            self.tidy(gpu)
        *_, said, metrics = self.trained("is not there", environment={"PEFT_CUBLASLT": str(self.own / "nowhere.so")})
        self.assertEqual((metrics, said.count("cuBLASLt is not to be had")), (theirs, 1))
        self.assertEqual(self.cached(), {})

    def test_the_library_that_libtorch_loads(self):
        """Where it has CUDA: one of the names that are looked for."""
        path = pathlib.Path(importlib.util.find_spec("torch").origin).parent / "lib/libtorch_cuda.so"
        if not path.exists():
            self.skipTest("a LibTorch for CPUs")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            loaded = set(re.findall(rb"\0(libcublasLt\.so\.\d+)\0", text))
        self.assertEqual(len(loaded), 1)
        self.assertLessEqual({name.decode() for name in loaded}, set(re.findall(r'"(libcublasLt[^"]*)"', (ROOT / "runtime/cuda/Blas.cpp").read_text())))

    def test_graphs(self):
        """What is captured is what was chosen: the same bits as step by step."""
        words = ("--set", "run.epochs=3")
        gpu, report, said, ours = self.trained("on", *words)
        self.assertGreater(report["graphs"]["launches"], 5 * report["graphs"]["made"])
        self.assertGreater(report["graphs"]["made"], 0)
        self.assertNotIn("as a CUDA graph", said)
        counts = self.tidy(gpu)
        self.assertGreater(counts[f"ran_{FASTEST}"], counts[f"asked_{FASTEST}"] + 50)  # again and again by one that was asked for once
        other, none, _, theirs = self.trained("off", *words, environment={"PEFT_GRAPHS": "off"})
        self.assertEqual((none["graphs"]["made"], ours), (0, theirs))
        counts = self.tidy(other)
        self.assertEqual(counts[f"ran_{FASTEST}"], counts[f"asked_{FASTEST}"])

    def test_no_graphs_to_be_had(self):
        """Neither to time short products in."""
        gpu, report, said, ours = self.trained("none", graphs_fit=0)
        shapes, counts = report["gemms"]["timed"], self.tidy(gpu)
        self.assertEqual((report["graphs"]["made"], report["gemms"]["untimed"], said.count("as a CUDA graph")), (0, 0, 1))
        self.assertEqual((counts[f"asked_{FIRST}"], counts[f"ran_{FIRST}"]), (12 * shapes, 4 * shapes))
        self.assertEqual({round(one["microseconds"], 2) for one in next(iter(self.cached().values()))["products"].values()}, {10})
        self.assertEqual(ours, self.trained("some")[3])

    def test_two_at_once(self):
        """Neither breaks the file, nor forgets what the other found."""
        longer = self.trainer.rows("longer.jsonl", [random_rows(1, 3, lengths=(9, 9), seed=seed)[0] for seed in range(12)])
        for index, rows in enumerate((self.rows, longer)):
            self.trained(f"apart {index}", rows=rows, cache=f"cache {index}")
        names = [set(next(iter(self.cached(f"cache {index}").values()))["products"]) for index in range(2)]
        self.assertTrue(names[0] - names[1] and names[1] - names[0])
        gpus = [Gpu(self.own / f"gpus/at once {index}", {}) for index in range(2)]
        running = [subprocess.Popen([str(word) for word in (BIN / "peft-runner", "--bundle", self.trainer.bundle, "train", "--data", rows, "--out", self.own / f"at once {index}", "--device", "cuda")],
                                    env={**os.environ, **gpus[index].environment, "XDG_CACHE_HOME": str(self.own / "cache")}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for index, rows in enumerate((self.rows, longer))]
        for one in running:
            said, _ = one.communicate()
            self.assertEqual(one.returncode, 0, said)
        self.assertEqual(set(next(iter(self.cached().values()))["products"]), names[0] | names[1])


if __name__ == "__main__":
    unittest.main()
