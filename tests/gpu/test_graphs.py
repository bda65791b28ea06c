"""Stretches of steps as CUDA graphs, under the driver for tests: the numbers of steps that are asked for one by one, bit for bit, whatever changes between steps; what
goes wrong with a graph; and that the driver for tests captures as NVIDIA's does."""
import ctypes
import json
import pathlib
import re
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
import decoders  # noqa: E402
import transformers  # noqa: E402
from machine import SPEC, Gpu, SmallTrainer, Trainer  # noqa: E402
from subject import random_rows  # noqa: E402

OFF = {"PEFT_GRAPHS": "off"}


def rows_of(lengths):
    """A row for each length."""
    return [random_rows(1, 3, lengths=(length, length), seed=index)[0] for index, length in enumerate(lengths)]


class Graphs(SmallTrainer):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.alike = cls.trainer.rows("alike.jsonl", rows_of([5] * 12))

    def gpu(self, name, **settings):
        return Gpu(self.folder / "gpus" / self.id().rpartition(".")[2] / name, **settings)

    def trained(self, name, *words, trainer=None, environment={}, code=0, out=None, **settings):
        """Its folder, its GPU, its report and what it said."""
        gpu, out = self.gpu(name, **settings), out or self.folder / self.id().rpartition(".")[2] / name
        done = (trainer or self.trainer).run("train", "--out", out, "--device", "cuda", "--json", *words, gpu=gpu, environment=environment, code=code)
        return out, gpu, json.loads(done.stdout) if code == 0 else None, done.stderr

    def both(self, *words, trainer=None):
        """With graphs and without: the same. Returns the report and the counts of the first."""
        out, gpu, report, said = self.trained("on", *words, trainer=trainer)
        plain, other, none, _ = self.trained("off", *words, trainer=trainer, environment=OFF)
        self.same(out, plain)
        self.assertEqual(none["graphs"], {"made": 0, "launches": 0, "steps": 0})
        self.assertEqual(other.counts()["graphs"], 0)
        counts = gpu.counts()
        self.assertEqual((report["graphs"]["made"], report["graphs"]["launches"]), (counts["graphs"], counts["graph_launches"]))
        self.assertEqual(counts["graphs_left"], 0)
        self.assertEqual(counts["launches"], other.counts()["launches"])
        self.assertNotIn("as a CUDA graph", said)
        return report["graphs"], counts, other.counts(), [line for line in self.trainer.metrics(out) if "loss" in line]

    def same(self, ours, theirs):
        self.assertEqual(self.trainer.metrics(ours), self.trainer.metrics(theirs))
        self.assertEqual((ours / "adapter.safetensors").read_bytes(), (theirs / "adapter.safetensors").read_bytes())

    def test_batches_that_are_alike(self):
        graphs, counts, plain, steps = self.both("--data", self.alike, "--valid", self.alike, "--set", "run.epochs=3")
        self.assertEqual(len(steps), 9)
        self.assertGreater(graphs["launches"], 5 * graphs["made"])
        self.assertLess(counts["waits"], plain["waits"])
        plan = json.loads((self.trainer.bundle / "plan.gpu.json").read_text())
        kernels = sum(step["kind"] == "kernel" for program in plan["programs"] if program["name"] == "train_step" for step in program["steps"])
        self.assertGreater(graphs["steps"], 7 * kernels // 2)

    def test_random_numbers(self):
        """A row again and again, and nothing learned: losses differ by what is dropped alone."""
        trainer = Trainer(self.folder / "dropped", self.folder / "model", SPEC.replace("lr = 1e-2", "lr = 0"))
        row = trainer.rows("row.jsonl", rows_of([5]) * 6)
        _, _, _, steps = self.both("--data", row, "--set", "run.batch=1", trainer=trainer)
        losses = [line["loss"] for line in steps]
        self.assertEqual(len(losses), 12)
        self.assertEqual(len(set(losses)), 12)

    def test_shapes_that_change(self):
        """There and back, the arena growing behind the first graphs; and rows that are never alike."""
        data = self.trainer.rows("growing.jsonl", rows_of([4, 4, 4, 20, 20, 20, 4, 4, 9, 4, 20]))
        graphs, *_ = self.both("--data", data, "--set", "run.batch=1", "--set", "run.shuffle=false")
        self.assertGreaterEqual(graphs["made"], 4)
        self.assertGreater(graphs["launches"], graphs["made"])

    def test_batches_of_nearly_one_size(self):
        """Real text: no batch has another's tokens, and a few graphs do the steps. Numbers of longer batches lie behind a shorter one's rows, and change nothing."""
        lengths = [9, 8, 9, 8, 7, 9, 6, 5, 8, 6, 7, 5, 9, 9, 5, 4, 8, 8, 6, 7, 5, 5, 6, 4, 9, 7, 5, 8, 6, 6, 5, 7, 8, 5, 9, 6]
        data = self.trainer.rows("real.jsonl", rows_of(lengths))
        words = ("--data", data, "--set", "run.epochs=3", "--set", "run.shuffle=false")
        graphs, counts, plain, steps = self.both(*words)
        self.assertEqual(len(steps), 27)
        self.assertGreater(len({sum(lengths[step : step + 4]) for step in range(0, 36, 4)}), 6)
        self.assertLess(graphs["made"], 24)
        self.assertGreater(graphs["launches"], 4 * graphs["made"])
        on_cpu = self.folder / "nearly on the CPU"
        self.trainer.run("train", "--out", on_cpu, "--device", "cpu", *words)
        for ours, theirs in zip(steps, (line for line in self.trainer.metrics(on_cpu) if "loss" in line)):
            self.assertAlmostEqual(ours["loss"], theirs["loss"], delta=1e-4)
            self.assertAlmostEqual(ours["grad_norm"], theirs["grad_norm"], delta=1e-3 * theirs["grad_norm"])

    def test_a_token_is_one_graph(self):
        """Of texts of different lengths that are written on: nothing of a step is asked for between its graph's steps, and the next token's is the same; merged or not."""
        decoders.random_checkpoint(self.folder / "llama", transformers.LlamaConfig(vocab_size=101, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=48, max_position_embeddings=128))
        trainer = Trainer(self.folder / "writer", self.folder / "llama", decoders.spec("attach lora(r = 8, alpha = 4) to layers[*].** where kind == linear", "lora") + "\nrun { layout = bordered }\n")
        rows = trainer.rows("rows.jsonl", [{"input_ids": row["input_ids"]} for row in decoders.rows_of([5, 9, 7])])
        out, tokens = self.folder / "written", 14
        trainer.run("train", "--data", rows, "--out", out, "--device", "cpu")
        for words in ((), ("--unmerged",)):
            written = ["generate", out, "--data", rows, "--max-new", tokens, *words]
            expected = trainer.run(*written, "--device", "cpu").stdout
            counts = []
            for name, environment in (("on", {}), ("off", OFF)):
                gpu = self.gpu("".join([*words, name]))
                self.assertEqual(trainer.run(*written, "--device", "cuda", gpu=gpu, environment=environment).stdout, expected)
                counts.append(gpu.counts())
            self.assertGreater(counts[0]["graph_launches"], tokens - 5)
            self.assertLess(counts[0]["graph_launches"], tokens)
            self.assertLess(counts[0]["graphs"], 4)
            self.assertEqual(counts[0]["launches"], counts[1]["launches"])

    def test_rows_that_more_texts_make_fewer(self):
        """Products over all tokens but each text's first: what is planned for more texts would be too small."""
        text = SPEC.replace("model base", "method behind(r: rank = 4) on model {\n  at_init changes(\"B is random\")\n  param A: [r, d] = normal(0, 0.1)\n  param B: [d, r] = normal(0, 0.1)\n"
                            "  let rest = embeds[1:]\n  embeds <- concat(embeds[:1], rest + (rest @ A.T) @ B.T, axis = seq)\n}\nmodel base").replace("train head", "attach behind() to model\ntrain head")
        trainer = Trainer(self.folder / "behind", self.folder / "model", text)
        data = trainer.rows("behind.jsonl", rows_of([13, 13, 13, 13, 12, 7, 6, 5, 9, 5]))
        words = ("--data", data, "--set", "run.batch=5", "--set", "run.shuffle=false")
        graphs, _, _, steps = self.both(*words, trainer=trainer)
        self.assertEqual(len(steps), 4)
        on_cpu = self.folder / "behind on the CPU"
        trainer.run("train", "--out", on_cpu, "--device", "cpu", *words)
        for ours, theirs in zip(steps, (line for line in trainer.metrics(on_cpu) if "loss" in line)):
            self.assertAlmostEqual(ours["loss"], theirs["loss"], delta=1e-4)

    def test_more_shapes_than_graphs_are_kept(self):
        data = self.trainer.rows("many.jsonl", rows_of([length for length in range(1, 24) for _ in range(2)] + [5, 5]))
        graphs, counts, *_ = self.both("--data", data, "--set", "run.batch=1", "--set", "run.shuffle=false", "--set", "run.epochs=1")
        self.assertGreater(graphs["made"], 23)

    def test_micro_batches(self):
        self.both("--data", self.alike, "--set", "run.batch=2", "--set", "run.accumulate=2")

    def test_bf16(self):
        """Weights are rounded before anything else, and gradients widened by their products: nothing else comes between."""
        trainer = Trainer(self.folder / "halves", self.folder / "model", SPEC.replace("run {", "run { precision = bf16,"))
        graphs, *_ = self.both("--data", self.alike, trainer=trainer)
        self.assertGreater(graphs["launches"], 0)
        self.assertLess(graphs["made"], 12)

    def test_resumed(self):
        whole, *_ = self.trained("whole", "--data", self.alike)
        parts, *_ = self.trained("first", "--data", self.alike, "--limit-steps", 4)
        self.trained("rest", "--resume", out=parts)
        self.same(whole, parts)

    def test_generation(self):
        """A token at a time, beside a cache that steps write into."""
        folder = self.folder / "generation"
        decoders.random_checkpoint(folder / "llama", transformers.LlamaConfig(vocab_size=101, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=36, max_position_embeddings=64))
        trainer = Trainer(folder / "writer", folder / "llama", decoders.spec("attach lora(r = 2) to layers[*].** where kind == linear", "lora"))
        prompts = trainer.rows("prompts.jsonl", [{"input_ids": row["input_ids"]} for row in decoders.rows_of([5, 3])])
        gpu, plain = self.gpu("on"), self.gpu("off")
        said = [trainer.run("generate", "--data", prompts, "--max-new", 6, *words, gpu=own, environment=environment).stdout
                for words, own, environment in ((("--device", "cuda"), gpu, {}), (("--device", "cuda"), plain, OFF), (("--device", "cpu"), None, {}))]
        self.assertEqual(said[0], said[1])
        self.assertEqual(said[0], said[2])
        self.assertGreater(gpu.counts()["graph_launches"], 0)
        self.assertEqual(plain.counts()["graph_launches"], 0)

    def test_a_profile_has_every_step(self):
        out, gpu, report, said = self.trained("profiled", "--data", self.alike, "--profile")
        self.assertEqual(report["graphs"]["made"] + gpu.counts()["graphs"], 0)
        self.assertIn("kernel flat_", said)
        steps = {step["step"]: step for step in report["profile"]}
        self.assertIn("train_step", {step["program"] for step in report["profile"]})
        for name, step in steps.items():
            (self.assertGreater if name.startswith("kernel") else self.assertGreaterEqual)(step["seconds"], 0, name)
        self.assertTrue(all(step["bytes"] > 0 for name, step in steps.items() if name.startswith("kernel")))
        self.assertFalse(any(step["bytes"] for name, step in steps.items() if name.startswith("contract")))

    def test_a_capture_that_fails(self):
        """The first, or a later one, or no memory for what was captured: a note, and the same numbers."""
        plain, *_ = self.trained("plain", "--data", self.alike, environment=OFF)
        for name, why, settings in (("first", "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", {"captures_fail": 1}), ("third", "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", {"captures_fail": 3}),
                                    ("full", "CUDA_ERROR_OUT_OF_MEMORY", {"graphs_fit": 1})):
            out, gpu, report, said = self.trained(name, "--data", self.alike, **settings)
            self.same(out, plain)
            self.assertRegex(said, rf"note: steps \d+ to \d+ of `\w+(\.\w+)*` cannot be recorded as a CUDA graph \(.*{why}\)")
            self.assertEqual(said.count("CUDA graph"), 1)
            self.assertEqual(report["graphs"]["made"], {"first": 0, "third": 2, "full": 1}[name])
            self.assertEqual(gpu.counts()["graphs_left"], 0)

    def test_a_graph_that_fails(self):
        *_, said = self.trained("failed", "--data", self.alike, graphs_fail=4, code=1)
        self.assertRegex(said, r"error\[R0206\]: the GPU failed while starting steps \d+ to \d+ of `\w+(\.\w+)*` as a graph: CUDA_ERROR_LAUNCH_FAILED")

    def test_words(self):
        said = self.trainer.run("train", "--data", self.alike, "--out", self.folder / "none", environment={"PEFT_GRAPHS": "maybe"}, code=2).stderr
        self.assertIn("PEFT_GRAPHS is `maybe`", said)


ADD = """.version 7.0
.target sm_80
.address_size 64
.visible .entry add(.param .u64 place, .param .u32 by)
{
  .reg .b64 %rd<2>;
  .reg .b32 %r<3>;
  ld.param.u64 %rd1, [place];
  ld.param.u32 %r1, [by];
  ld.global.u32 %r2, [%rd1];
  add.s32 %r2, %r2, %r1;
  st.global.u32 [%rd1], %r2;
  ret;
}
"""
UNSUPPORTED, INVALIDATED = 900, 901


class Driver(unittest.TestCase):
    """The rules of the driver for tests, asked as a program asks it."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.gpu = Gpu(pathlib.Path(scratch.name) / "gpu")
        self.cuda = ctypes.CDLL(str(self.gpu.folder / "libcuda.so.1"))
        self.context, self.stream, self.place = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint64()
        for said in (self.cuda.cuInit(0), self.cuda.cuDevicePrimaryCtxRetain(ctypes.byref(self.context), 0), self.cuda.cuCtxSetCurrent(self.context), self.cuda.cuStreamCreate(ctypes.byref(self.stream), 1),
                     self.cuda.cuMemAllocManaged(ctypes.byref(self.place), ctypes.c_size_t(4), 1)):
            self.assertEqual(said, 0)
        module, self.add = ctypes.c_void_p(), ctypes.c_void_p()
        self.assertEqual(self.cuda.cuModuleLoadDataEx(ctypes.byref(module), ADD.encode(), 0, None, None), 0)
        self.assertEqual(self.cuda.cuModuleGetFunction(ctypes.byref(self.add), module, b"add"), 0)
        self.by = ctypes.c_uint32(7)

    def number(self):
        return ctypes.c_uint32.from_address(self.place.value)

    def launch(self):
        parameters = (ctypes.c_void_p * 2)(ctypes.addressof(self.place), ctypes.addressof(self.by))
        return self.cuda.cuLaunchKernel(self.add, 1, 1, 1, 1, 1, 1, 0, self.stream, parameters, None)

    def begin(self, mode=1):
        self.assertEqual(self.cuda.cuStreamBeginCapture_v2(self.stream, mode), 0)

    def end(self):
        graph = ctypes.c_void_p()
        return self.cuda.cuStreamEndCapture(self.stream, ctypes.byref(graph)), graph

    def wait(self):
        self.assertEqual(self.cuda.cuStreamSynchronize(self.stream), 0)

    def test_a_capture_records_and_does_nothing(self):
        called = []
        host = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: called.append((self.number().value, self.cuda.cuMemFree_v2(self.place))))
        self.begin()
        self.assertEqual(self.launch(), 0)
        self.assertEqual(self.cuda.cuLaunchHostFunc(self.stream, host, None), 0)
        self.by.value = 100  # parameters are those of the capture
        status, graph = self.end()
        self.assertEqual(status, 0)
        self.wait()
        self.assertEqual((self.number().value, called), (0, []))
        made = ctypes.c_void_p()
        self.assertEqual(self.cuda.cuGraphInstantiateWithFlags(ctypes.byref(made), graph, ctypes.c_uint64(0)), 0)
        self.assertEqual(self.cuda.cuGraphDestroy(graph), 0)
        self.assertEqual([self.cuda.cuGraphLaunch(made, self.stream) for _ in range(2)], [0, 0])
        self.assertEqual(self.cuda.cuGraphExecDestroy(made), 0)  # those two stay
        self.assertEqual(self.number().value, 0)
        self.wait()
        self.assertEqual((self.number().value, called), (14, [(7, 800), (14, 800)]))  # a host function may ask for nothing
        self.assertEqual(self.cuda.cuGraphLaunch(made, self.stream), 1)
        self.assertEqual(self.cuda.cuGraphInstantiateWithFlags(ctypes.byref(made), graph, ctypes.c_uint64(0)), 1)

    def test_what_ends_a_capture(self):
        other, host = ctypes.c_uint64(), ctypes.c_void_p()
        four = ctypes.create_string_buffer(4)
        for refused in (lambda: self.cuda.cuStreamSynchronize(self.stream), lambda: self.cuda.cuMemAlloc_v2(ctypes.byref(other), ctypes.c_size_t(4)), lambda: self.cuda.cuMemFree_v2(self.place),
                        lambda: self.cuda.cuMemAllocHost_v2(ctypes.byref(host), ctypes.c_size_t(4)), lambda: self.cuda.cuMemcpyHtoD_v2(self.place, four, ctypes.c_size_t(4))):
            self.begin()
            self.assertEqual(self.launch(), 0)
            self.assertEqual(refused(), UNSUPPORTED)
            self.assertEqual(self.launch(), INVALIDATED)
            status, graph = self.end()
            self.assertEqual((status, graph.value), (INVALIDATED, None))
            self.wait()
            self.assertEqual(self.number().value, 0)
        self.begin(mode=2)  # relaxed: memory may be had
        self.assertEqual(self.cuda.cuMemAlloc_v2(ctypes.byref(other), ctypes.c_size_t(4)), 0)
        self.assertEqual(self.cuda.cuStreamBeginCapture_v2(self.stream, 1), 401)
        self.assertEqual(self.end()[0], 0)
        self.assertEqual(self.end()[0], 401)

    def test_a_copy_is_read_when_the_graph_runs(self):
        source = (ctypes.c_uint32 * 1)(5)
        self.begin()
        self.assertEqual(self.cuda.cuMemcpyHtoDAsync_v2(self.place, source, ctypes.c_size_t(4), self.stream), 0)
        made = ctypes.c_void_p()
        self.assertEqual(self.cuda.cuGraphInstantiateWithFlags(ctypes.byref(made), self.end()[1], ctypes.c_uint64(0)), 0)
        for value in (5, 6):
            source[0] = value
            self.assertEqual(self.cuda.cuGraphLaunch(made, self.stream), 0)
            self.wait()
            self.assertEqual(self.number().value, value)


if __name__ == "__main__":
    unittest.main()
