"""What --help and the root's README say is what there is: every command, option and value, both ways, of peftc and of a trainer."""
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from compiles import GOOD, PEFTC, ROOT, CompilerTest  # noqa: E402
sys.path.insert(0, str(ROOT / "tests/runtime/modes"))
import compiled  # noqa: E402

# A value for each option that takes one; what an option needs beside it.
VALUES = {"--model": "model", "--output": "out", "--set": "a=1", "--bundle": "bundle", "--emit": "ast", "--target": "sm_90a", "--explain": "params", "--diag-format": "short", "--stdlib": "stdlib",
          "--runner": "runner", "--choose": "a=1", "--data": "rows", "--valid": "rows", "--trials": "1", "--study": "study", "--method": "lora", "--seed": "1", "--keep": "kept"}
BESIDE = {("check", option): ["--laws"] for option in ("--method", "--seed", "--keep")}
SOURCES = {"compile": "CompileCommand.cpp", "check": "CheckCommand.cpp", "search": "SearchCommand.cpp", "fmt": "TextCommands.cpp", "methods": "TextCommands.cpp"}


class Help(CompilerTest):
    def sections(self):
        text = self.peftc("--help")[0]
        return {name: re.search(rf"^{name}\n((?:  .*\n)+)", text, re.M)[1] for name in SOURCES}, text

    def test_every_way_to_ask(self):
        whole = self.peftc("--help")[0]
        for words in (["-h"], ["help"], ["check", "--help"], ["fmt", "-h"], ["explain", "--help"], ["methods", "--help"], ["s.peft", "--model", "x", "--help"]):
            self.assertEqual(self.peftc(*words)[0], whole)
        self.assertEqual(self.peftc(code=2), ("", whole))
        self.assertRegex(self.peftc("--version")[0], r"^peftc \d+\.\d+\.\d+\n$")

    def test_every_option_is_accepted(self):
        for name, text in self.sections()[0].items():
            command = [] if name == "compile" else [name]
            for option in set(re.findall(r"--[a-z][a-z-]*", text)):
                words = [*command, "s.peft", *BESIDE.get((name, option), []), option] + ([VALUES[option]] if option in VALUES and (name, option) != ("methods", "--json") else [])
                done = subprocess.run([PEFTC, *words], capture_output=True, text=True, cwd=self.here)
                for wrong in ("there is no option", "needs a value", "takes no value", "cannot be"):
                    self.assertNotIn(wrong, done.stderr, words)

    def test_every_option_is_told(self):
        sections = self.sections()[0]
        for name, source in SOURCES.items():
            text = (ROOT / "compiler/tools/peftc" / source).read_text()
            if source == "TextCommands.cpp":
                text = text[text.index(f"int {name}Command"):]
                text = text[:text.index("\n}\n")]
            for option, short in re.findall(r'\{"(--[\w-]+)", "(-\w)?"', text):
                self.assertIn(option, sections[name], name)
                if short and name != "check":
                    self.assertIn(f"{short}, {option}", sections[name])
            for word in re.findall(r'"(\w+)"[,}]', re.search(r'\{"--emit".*?\}\}', text)[0]) if name == "compile" else ():
                self.assertIn(word, re.search(r"--emit=.*", sections[name])[0])
            if "diagFormatOption()" in text:
                self.assertIn("--diag-format", sections[name])

    def test_the_readme(self):
        page, text = (ROOT / "README.md").read_text(), self.sections()[1]
        commands = re.findall(r"Also: (.*?)Everything has", page, re.S)[0]
        for option in re.findall(r"--[a-z-]+", commands):
            self.assertIn(option, text)
        for name in ("check", "search", "fmt", "explain", "methods"):
            self.assertIn(name, commands)
            self.assertRegex(text, rf"(?m)^  peftc {name} ")
        for option in ("emit", "explain"):
            for value in re.search(rf"--{option}[= ]([a-z|]+)", commands)[1].split("|"):
                self.assertIn(value, re.search(rf"--{option}[= ].*", text)[0])
        for code, said in re.findall(r"(\d) ([a-z ,]+?)[,.(]", re.search(r"Exit codes: (.*?)\n\n", page, re.S)[1]):
            self.assertIn(code + " ", re.search(r"Exit codes:.*", text)[0])

    def test_every_phase_and_explanation_prints(self):
        self.write("s.peft", GOOD)
        for phase in ("ast", "spec", "peft", "sites", "nn", "plan"):
            self.assertGreater(len(self.peftc("s.peft", "-m", self.model, f"--emit={phase}")[0]), 100)
        for what in ("merge", "memory", "params"):
            self.assertGreater(len(self.peftc("s.peft", "-m", self.model, "--explain", what)[0].splitlines()), 2, what)
        self.assertIn("nn-derive-merge", self.peftc("s.peft", "-m", self.model, "--bundle", "b", "--timing")[1])
        for code in re.findall(r"PEFT_DIAG\((E\d{4})", (ROOT / "lang/diag/Kinds.def").read_text()):
            self.assertTrue(self.peftc("explain", code)[0].startswith(f"# {code}: "))
            self.assertEqual(self.peftc("explain", code.lower()), self.peftc("explain", code))


class TrainerHelp(compiled.TrainerTest):
    def test_options_are_accepted(self):
        modes = re.findall(r"^  (\w+) ", self.trainer("--help").stdout, re.M)
        self.assertGreater(len(modes), 5)
        for mode in modes:
            text = self.trainer(mode, "--help").stdout
            options = re.findall(r"^  (--[a-z-]+)(\[=\w+\])?( [A-Z=]+)?", text, re.M)
            # All of them, and last one that there is not: it is what the command is refused for.
            words = [word for option, _, value in options for word in ([option, "1"] if value else [option])]
            self.assertIn("no option --frobnicate", self.trainer(mode, *words, "--frobnicate", code=2).stderr, mode)


if __name__ == "__main__":
    unittest.main()
