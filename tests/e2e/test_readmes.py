"""READMEs say what is so: files that they name exist, the root's program compiles, its method is the library's, folders have one, and the library's table of
methods is what their files say. `test_readmes.py --table` prints that table."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/compiler"))
BIN = pathlib.Path(os.environ.get("PEFT_BUILD", ROOT / "build")) / "bin"
TREES = ("lang", "dialects", "compiler", "runtime", "stdlib", "tests", "examples", "setup")
FILE = re.compile(r"`([\w./-]+\.(?:cpp|h|py|def|peft|td|g4|md|txt|mlir|cmake|json))[`:]")
EXAMPLES = re.compile(r"FormThings|form-things|form-kernels|FormKernels|[A-Z]{4}|FILE|\bscores?\.")  # names of things that a reader is to make


def pages():
    yield ROOT / "README.md"
    for tree in TREES:
        yield from (page for name in ("README.md", "RATIONALE.md") for page in sorted((ROOT / tree).rglob(name)))


def fenced(text, language):
    """Bodies of the fenced blocks of a language ("" for none)."""
    return [body for word, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S) if word == language]


def method_table():
    """A row a method: where it goes, what it is by the first line of its doc comment, whether it merges, its first source."""
    rows = ["| method | on | what it is | merges | source |", "| --- | --- | --- | --- | --- |"]
    for path in sorted((ROOT / "stdlib/methods").glob("*.peft")):
        text = path.read_text()
        doc = " ".join(line.removeprefix("///").strip() for line in text.splitlines() if line.startswith("///"))
        about, source = doc.split("source: ", 1)
        summary = re.sub(r"\s*(Merges|Does not merge)\b.*", "", text[text.index("/// "):].splitlines()[0].removeprefix("/// "))
        head = re.search(rf"^method {path.stem}\b(.*?)\{{\n", text, re.M | re.S).group(1)
        kinds = re.findall(r"\bon (\w+)", re.sub(r"\(.*\)", "", head)) or re.findall(r"^  on (\w+)", text, re.M)
        paper = re.split(r"[;(]", source)[0].strip().rstrip(",")
        rows.append(f"| `{path.stem}` | {', '.join(kinds)} | {summary.replace('|', chr(92) + '|')} | {'no' if 'Does not merge' in about else 'yes'} | {paper} |")
    return rows


class Readmes(unittest.TestCase):
    def test_methods(self):
        text = (ROOT / "stdlib/README.md").read_text()
        have = [line for line in text.splitlines() if line.startswith("| `") and line.count("|") > 5 or line.startswith("| method")]
        wanted = [row for row in method_table() if not row.startswith("| ---")]
        self.assertGreater(len(wanted), 20)
        self.assertEqual(have, wanted, "`test_readmes.py --table` prints what is so")

    def test_length(self):
        self.assertLessEqual(len((ROOT / "README.md").read_text().splitlines()), 250)

    def test_files_exist(self):
        """A name in backquotes is a file in the page's folder, in the root, or anywhere below the page's folder."""
        missing = []
        for page in pages():
            text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
            for name in FILE.findall(text):
                made = name in ("config.json", "tokenizer.json", "run.json", "manifest.json", "programs.json", "plan.json", "plan.gpu.json", "metrics.jsonl", "spec.peft", "README.md", "RATIONALE.md")
                if made or EXAMPLES.search(name):
                    continue
                if not any(path.exists() for path in (page.parent / name, ROOT / name)) and not any(page.parent.rglob(name)):
                    missing.append(f"{page.relative_to(ROOT)}: {name}")
        self.assertFalse(missing, "\n" + "\n".join(missing))

    def test_every_folder_has_one(self):
        bare = set()
        for tree in TREES[:5]:
            for path in (ROOT / tree).rglob("*"):
                # A folder with code of its own; the library's folders are explained by stdlib/README.md, a command's by tools/README.md.
                if path.suffix in (".cpp", ".td", ".h") and tree != "stdlib" and path.parent.parent.name != "tools" and not (path.parent / "README.md").exists():
                    bare.add(str(path.parent.relative_to(ROOT)))
        self.assertFalse(bare, f"no README.md: {sorted(bare)}")

    def test_programs(self):
        import tiny_bert

        blocks = fenced((ROOT / "README.md").read_text(), "peft")
        method, program = blocks
        # But for the block that says how other software's files name its parts.
        self.assertIn(method, re.sub(r"^  interop \w+ \{\n.*?^  \}\n", "", (ROOT / "stdlib/methods/lora.peft").read_text(), flags=re.M | re.S))
        with tempfile.TemporaryDirectory() as scratch:
            tiny_bert.make(scratch + "/model")
            spec = pathlib.Path(scratch) / "spec.peft"
            spec.write_text(program)
            done = subprocess.run([BIN / "peftc", spec, "--model", scratch + "/model", "-o", scratch + "/trainer"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.check_commands(pathlib.Path(scratch) / "trainer")

    def check_commands(self, trainer):
        """Every mode and option in the root's command block is one of the trainer's."""
        block = fenced((ROOT / "README.md").read_text(), "")[1]
        commands = re.findall(r"^\./lora (\w+)(.*?)(?:#|$)", block, re.M)
        self.assertGreater(len(commands), 5)
        for mode, words in commands:
            text = subprocess.run([trainer, mode, "--help"], capture_output=True, text=True, check=True).stdout
            for option in re.findall(r"--[\w-]+", words):
                self.assertIn(option, text, mode)


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        sys.exit(print("\n".join(method_table())))
    unittest.main(verbosity=2)
