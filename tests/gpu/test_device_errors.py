"""What goes wrong with a GPU, under the driver for tests: each is said in a sentence with its code, and nothing that was saved is lost."""
import json
import pathlib
import re
import shutil
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
from machine import SPEC, TARGET, Gpu, SmallTrainer, Trainer  # noqa: E402
from subject import random_rows  # noqa: E402


class Errors(SmallTrainer):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rows = cls.trainer.rows("rows.jsonl", random_rows(8, 3, lengths=(3, 6)))

    def gpu(self, **settings):
        return Gpu(self.folder / "gpus" / self.id().rsplit(".", 1)[1] / str(len(list(self.folder.glob("gpus/*/*")))), **settings)

    def evaluated(self, *words, code=0, **options):
        return self.trainer.run("eval", "--data", self.rows, "--json", *words, code=code, **options)

    def refused(self, code, texts, *words, gpu=None, **options):
        said = self.evaluated("--device", "cuda", *words, gpu=gpu, code=1, **options).stderr
        self.assertIn(f"error[{code}]: ", said)
        self.assertIn("help: ", said)
        for text in texts:
            self.assertIn(text, said)

    def without(self, gpu, text):
        """`auto` takes the CPU in silence, and `info` says why."""
        done = self.evaluated(gpu=gpu)
        self.assertNotIn("CUDA", done.stderr)
        self.assertEqual(*[json.loads(said.stdout)["loss"] for said in (done, self.evaluated("--device", "cpu"))])
        report = json.loads(self.trainer.run("info", "--json", gpu=gpu).stdout)["device"]
        self.assertEqual(report["auto"], "cpu")
        self.assertIn(text, report["why_not_cuda"])

    def test_no_driver(self):
        self.refused("R0160", ["no NVIDIA driver", "libcuda.so.1"])
        self.without(None, "no NVIDIA driver")

    def test_an_old_driver(self):
        gpu = self.gpu(driver=11040)
        self.refused("R0160", ["for CUDA 11.4, at least 12.0 is needed"], gpu=gpu)
        self.without(gpu, "for CUDA 11.4")
        self.refused("R0160", ["does not know the text of the kernels"], gpu=self.gpu(ptx=60))

    def test_no_gpu(self):
        gpu = self.gpu(devices=0)
        self.refused("R0160", ["CUDA_ERROR_NO_DEVICE", "CUDA_VISIBLE_DEVICES"], gpu=gpu)
        self.without(gpu, "CUDA_ERROR_NO_DEVICE")

    def test_no_code_for_this_gpu(self):
        gpu = self.gpu(major=7, minor=5)
        self.refused("R0161", [f"the trainer's code is for {TARGET}, and the emulated GPU is sm_75", "--target"], gpu=gpu)
        self.without(gpu, "sm_75")

    def test_torch_without_cuda(self):
        self.refused("R0162", ["this LibTorch has no CUDA", "PEFT_TORCH_LIB"], gpu=self.gpu(integrated=0))
        self.refused("R0162", ["cannot be loaded", "/nowhere.so"], gpu=self.gpu(), environment={"PEFT_TORCH_CUDA": "/nowhere.so"})

    def test_words(self):
        for words in (("--device", "gpu"), ("--device", "cuda", "--reference")):
            self.evaluated(*words, code=2)

    def test_the_text_is_compiled_and_said(self):
        said = self.evaluated("--device", "cuda", gpu=self.gpu()).stderr
        self.assertIn(f"the driver compiles the kernels for sm_90 (emulated GPU): the trainer has the text of {TARGET}", said)
        # A cubin that the driver does not take.
        bundle = self.trainer.bundle / "kernels" / f"{TARGET}.cubin"
        bundle.write_bytes(b"\x7fELF of another generation")
        try:
            said = self.evaluated("--device", "cuda", gpu=self.gpu(major=8)).stderr
            self.assertIn(f"the trainer has other code of {TARGET}", said)
        finally:
            bundle.unlink()

    def test_damaged_text(self):
        whole = (self.trainer.bundle / "kernels" / f"{TARGET}.ptx").read_text()
        copy = Trainer.__new__(Trainer)
        copy.folder, copy.bundle = self.folder / "damaged", self.folder / "damaged/bundle"
        shutil.copytree(self.trainer.bundle, copy.bundle)
        path = copy.bundle / "kernels" / f"{TARGET}.ptx"
        for text, error in ((whole[: len(whole) // 2], "R0103"), (whole.replace("rows_1__entry", "rows_one__entry"), "R0102")):
            path.write_text(text)
            said = copy.run("eval", "--data", self.rows, "--device", "cuda", gpu=self.gpu(), code=1).stderr
            self.assertIn(f"error[{error}]", said)
        (copy.bundle / "kernels" / f"{TARGET}.json").write_text('{"flat_share": 0}')
        self.assertIn("error[R0103]", copy.run("info", code=1).stderr)

    def test_out_of_memory(self):
        free = self.gpu()
        self.evaluated("--device", "cuda", gpu=free)
        most = free.counts()["most_bytes"]
        self.assertEqual(free.counts()["left_bytes"], 0)
        self.refused("R0205", ["GPU has no", "bytes left", "recompute"], gpu=self.gpu(memory=most // 2))
        # With as much as it took there is enough; the plan's arena is what a larger batch lacks.
        self.evaluated("--device", "cuda", gpu=self.gpu(memory=most))
        rows = self.trainer.rows("many.jsonl", random_rows(64, 3, lengths=(15, 20)))
        words = ("eval", "--data", rows, "--device", "cuda", "--set", "run.batch=64")
        little = self.gpu(memory=most + 1000)
        self.assertIn("error[R0205]: the scratch of kernels: the GPU has no", self.trainer.run(*words, gpu=little, code=1).stderr)
        said = self.trainer.run(*words, gpu=self.gpu(memory=little.counts()["most_bytes"] * 3 // 4), code=1).stderr
        fits = int(re.search(r"--set run.tokens_per_batch=(\d+) has room", said)[1])
        self.assertLess(fits, 64 * 20)
        self.assertRegex(said, r"error\[R0205\]: `eval` needs \d+ bytes for the results of a batch of \d+ tokens \(the largest, of .* at .*, has \d+\): the GPU has no \d+ bytes left")

    def test_what_is_not_finite(self):
        """The step that ends a run, and why, as on the CPU."""
        trainer, ends = Trainer(self.folder / "steep", self.folder / "model", SPEC.replace("lr = 1e-2", "lr = 1e30")), []
        for device in ("cuda", "cpu"):
            out = self.folder / f"steep-{device}"
            said = trainer.run("train", "--data", self.rows, "--out", out, "--device", device, gpu=self.gpu() if device == "cuda" else None, code=1).stderr
            ends.append(re.search(r"error\[R0201\]: (.*), `", said)[1])
        self.assertEqual(*ends)
        self.assertRegex(ends[0], r"step \d+.*; \d+ steps were good")

    def test_the_gpu_fails(self):
        """In the middle of a run: the last checkpoint is whole, and the run goes on from it to the same end."""
        whole = self.folder / "whole"
        gpu = self.gpu()
        words = ("train", "--data", self.rows, "--device", "cuda", "--save-every", 1)
        self.trainer.run(*words, "--out", whole, gpu=gpu)
        launches = gpu.counts()["launches"]
        out = self.folder / "failed"
        said = self.trainer.run(*words, "--out", out, gpu=self.gpu(fails=launches * 2 // 3), code=1).stderr
        self.assertIn("error[R0206]: the GPU failed", said)
        self.assertIn("CUDA_ERROR_LAUNCH_FAILED", said)
        self.assertIn("steps were good", said)
        self.trainer.run("train", "--out", out, "--resume", "--device", "cuda", gpu=self.gpu())
        self.assertEqual(self.trainer.metrics(out), self.trainer.metrics(whole))


if __name__ == "__main__":
    unittest.main()
