"""Whole steps whose every kernel is the shipped PTX, run by the emulator, against the reference interpreter (fp64): texts of 1 to 129 tokens, dims that no vector
divides and dims that are whole vectors, dropout on. Nothing may be out of bounds, unaligned, never written, or a race, on the way; and mistakes of those kinds are
seen: changes of the text."""
import pathlib
import re
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/compiler/conversion"), str(ROOT / "tests/oracle")]
import test_kernels  # noqa: E402
from bundle import OddModel  # noqa: E402
from emulated import Emulated  # noqa: E402
from subject import compare, tiny_bert  # noqa: E402
from test_kernels import LABELS, METHODS, TOLERANCES, USES  # noqa: E402

LENGTHS = ([1, 1, 2], [127, 1, 129])
SHORT = (LENGTHS[0], [33, 1, 17])
TARGETS = ("sm_80", "sm_90a")
# The even model's rows are read by whole vectors, some by 32 threads and some by fewer; of 36 vectors a warp's threads take one or two.
EVEN = {"hidden_size": 144, "num_attention_heads": 3, "intermediate_size": 16}
RUNS = [("odd", "lora", "fp32", LENGTHS), ("odd", "sums", "fp32", LENGTHS), ("even", "lora", "fp32", SHORT), ("even", "sums", "bf16", SHORT), ("odd", "lora", "bf16", SHORT),
        *(("odd", method, "fp32", SHORT) for method in METHODS if method not in ("lora", "sums"))]
OF_WHOLE_VECTORS = {"sums of all"}  # on the odd model too: a branch four times as wide as the rest


class Training(OddModel):
    rows = test_kernels.Kernels.rows

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tiny_bert.make(cls.folder / "even", **EVEN)

    def subject(self, method, precision="fp32", target="sm_80", model="odd", **options):
        text = f"{USES}model base = bert\ntask classify(labels = {LABELS})\n{METHODS[method]}\ntrain head\noptimize adamw(lr = 1e-3)\nrun {{ base_dropout = 0.1, precision = {precision}, attention = generated }}\n"
        return Emulated(self.folder / f"{model} {method} {precision} {target}".replace(" ", "_"), self.folder / model, text, target, **options)

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
        for place, (model, method, precision, all_lengths) in enumerate(RUNS):
            target = TARGETS[place % len(TARGETS)]
            with self.subTest(model=model, method=method, precision=precision, target=target):
                start = time.monotonic()
                subject = self.subject(method, precision, target, model)
                init = self.started(subject)
                worst = max(self.worst(subject, init, lengths, precision) for lengths in all_lengths)
                ran = subject.ran()
                self.assertGreater(len(ran), 10)
                self.assertEqual(bool(re.search(r"ld\.(global\.)?v4", subject.ptx)), model == "even" or method in OF_WHOLE_VECTORS, "accesses of whole vectors")
                print(f"{model}, {method}, {precision}, {target}: {worst:.1e}, {len(ran)} kernels, {sum(ran.values()) / 1e6:.1f} million instructions, {time.monotonic() - start:.1f} s", flush=True)

    def test_mistakes_are_seen(self):
        """What a team of threads needs: each its own share, their numbers as one, and that they wait for each other; and vectors only where they may lie."""
        odd, even = self.subject("lora"), self.subject("lora", model="even", target="sm_90a")
        for subject, found, what, instead in ((odd, "differs by|unwritten|race", r"%tid\.x", "%ntid.x"), (odd, "differs by", r"(shfl\.sync\.bfly\.b32\s+%r\d+, %r\d+), 4,", r"\1, 2,"),
                                              (odd, "race", r"bar\.warp\.sync\s+[^;]+;", ""), (even, "misaligned", r"(and\.b64\s+%rd\d+, %rd\d+), 15;", r"\1, 0;")):
            with self.subTest(what):
                init = self.started(subject)
                subject.change(lambda text: self.replaced(what, instead, text))
                with self.assertRaisesRegex(AssertionError, found):
                    self.worst(subject, init, SHORT[1])

    def replaced(self, what, instead, text):
        changed, count = re.subn(what, instead, text)
        self.assertGreater(count, 0, what)
        return changed


if __name__ == "__main__":
    unittest.main()
