"""Whole steps whose every kernel is the shipped PTX, run by the emulator, against the reference interpreter (fp64): texts of 1 to 129 tokens, dims that no vector
divides, fp32, dropout on. Nothing may be out of bounds, unaligned, never written, or a race, on the way."""
import pathlib
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/compiler/conversion"), str(ROOT / "tests/oracle")]
import test_kernels  # noqa: E402
from bundle import OddModel  # noqa: E402
from emulated import Emulated  # noqa: E402
from subject import compare  # noqa: E402
from test_kernels import LABELS, METHODS, TOLERANCES, USES  # noqa: E402

LENGTHS = ([1, 1, 2], [127, 1, 129])
RUNS = [("lora", "fp32", "sm_80"), ("sums", "fp32", "sm_90a")]


class Training(OddModel):
    rows = test_kernels.Kernels.rows

    def subject(self, method, precision="fp32", target="sm_80", **options):
        text = f"{USES}model base = bert\ntask classify(labels = {LABELS})\n{METHODS[method]}\ntrain head\noptimize adamw(lr = 1e-3)\nrun {{ base_dropout = 0.1, precision = {precision} }}\n"
        return Emulated(self.folder / f"{method} {precision} {target}".replace(" ", "_"), self.folder / "odd", text, target, **options)

    def started(self, subject):
        """Parameters away from where they start: at B = 0 most of a gradient is 0."""
        import torch

        values = subject.inspect(self.rows([2]), None, emulated=False)
        generator = torch.Generator().manual_seed(11)
        shapes = {name[len("grad."):]: value.shape for name, value in values.items() if name.startswith("grad.")}
        return subject.save_init({name: torch.randn(shape, generator=generator) * 0.2 for name, shape in shapes.items()})

    def worst(self, subject, init, lengths, precision="fp32"):
        rows = self.rows(lengths)
        expected = subject.inspect(rows, init, emulated=False)
        # With one or two keys the gradients of queries and keys are differences of nearly equal numbers.
        least = 1e-6 if precision == "fp32" else 0.1 * max(value.abs().max().item() for name, value in expected.items() if name.startswith("grad."))
        return compare(subject.inspect(rows, init), expected, TOLERANCES[precision], least)

    def test_methods(self):
        for method, precision, target in RUNS:
            with self.subTest(method=method, precision=precision, target=target):
                start = time.monotonic()
                subject = self.subject(method, precision, target)
                init = self.started(subject)
                worst = max(self.worst(subject, init, lengths, precision) for lengths in LENGTHS)
                ran = subject.ran()
                self.assertGreater(len(ran), 10)
                print(f"{method}, {precision}, {target}: {worst:.1e}, {len(ran)} kernels, {sum(ran.values()) / 1e6:.1f} million instructions, {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    unittest.main()
