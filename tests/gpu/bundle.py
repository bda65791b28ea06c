"""A bundle whose plan is a GPU's, for whoever runs it on a CPU, and the odd model whose steps they are."""
import json
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
from subject import BIN, run, tiny_bert  # noqa: E402

def gpu_plan(bundle):
    return json.loads((bundle / "plan.gpu.json").read_text())


def gpu_bundle(spec, model, bundle, target):
    """Writes the bundle, with the plan for GPUs in the place of the CPUs'; returns it."""
    run("env", "PEFT_PTXAS=none", BIN / "peftc", spec, "--model", model, "--bundle", bundle, "--target", target)
    plan = gpu_plan(bundle)
    (bundle / "plan.json").write_text(json.dumps(plan))
    return plan


def functions_of(plan):
    """What a GPU's code has an entry for: each kernel of a plan, and what adds up those that sum over rows."""
    kernels = [step["attrs"] for program in plan["programs"] for step in program["steps"] if step["kind"] == "kernel"]
    return {kernel["symbol"] for kernel in kernels} | {f"{kernel['symbol']}__sums" for kernel in kernels if "sums" in kernel}


class Scratch(unittest.TestCase):
    """`folder`, for as long as the class's tests run."""

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)


class OddModel(Scratch):
    """`folder`, with a model in `odd` whose sizes no vector divides."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tiny_bert.make(cls.folder / "odd", hidden_size=21, num_attention_heads=3, intermediate_size=37)
