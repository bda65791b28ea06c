"""Runs the `// RUN:` lines of every tests/**/*.mlir: `%s` is the file, `%t` a scratch file; peft-opt and FileCheck are on the PATH."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ["PEFT_BUILD"]) / "bin"
LLVM = re.search(r"^MLIR_DIR:\w+=(.*)/lib/cmake/mlir$", (BIN.parent / "CMakeCache.txt").read_text(), re.M)[1]


def run(path, scratch):
    lines = re.findall(r"^// RUN: (.*)$", path.read_text(), re.M)
    said = "" if lines else "there is no RUN line"
    for line in lines:
        line = line.replace("%s", str(path)).replace("%t", f"{scratch}/{path.stem}")
        environment = dict(os.environ, PATH=f"{BIN}:{LLVM}/bin:{os.environ['PATH']}")
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        if done.returncode:
            said += f"{line}\n{done.stdout}\n"
    return said


class Mlir(unittest.TestCase):
    def test_files(self):
        files = sorted((ROOT / "tests").glob("**/*.mlir"))
        self.assertGreater(len(files), 7)
        with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(2) as pool:
            for path, said in zip(files, pool.map(lambda path: run(path, scratch), files)):
                with self.subTest(str(path.relative_to(ROOT))):
                    self.assertFalse(said, said)

    def test_a_wrong_one_fails(self):
        with tempfile.TemporaryDirectory() as scratch:
            for text in ("// RUN: peft-opt %s | FileCheck %s\n// CHECK: nn.no_such\n", "// RUN: peft-opt %s\nnn.no_such\n", ""):
                path = pathlib.Path(scratch) / "wrong.mlir"
                path.write_text(text)
                self.assertTrue(run(path, scratch), text)


if __name__ == "__main__":
    unittest.main(verbosity=1)
