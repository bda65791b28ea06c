#!/usr/bin/env python3
"""The laws once more, with every name of the library drawn anew: nothing may depend on one."""
import glob
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rename
from laws import DECODER, STDLIB, LawsTest, all_laws, with_library

RENAMING_SEED = int(os.environ.get("PEFT_SEED", "20"))


class Renaming(LawsTest):
    def test_nothing_depends_on_a_name(self):
        library = self.path("library")
        examples = {}
        for path in sorted(glob.glob("examples/*/spec.peft")):
            with open(path) as file:
                examples[path] = file.read()
        examples[self.write("decoder.peft", DECODER)] = DECODER
        renaming, moved = rename.rename_library(STDLIB, library, RENAMING_SEED, examples)
        print(f"names of seed {RENAMING_SEED}", file=sys.stderr)
        left = {"lora", "dora", "bitfit", "prompt", "bert", "adamw", "classify", "relu", "softmax", "head"} & set(re.findall(r"\w+", "".join(code_of(os.path.join(library, new)) for new in moved.values())))
        self.assertEqual(left, set())
        paths = {os.path.join(library, moved[old]): old for old in moved if old.startswith("methods")}
        for example, text in examples.items():
            paths[self.write(example.replace("/", "_"), renaming.text(text))] = example
        originals = {new: old for old, new in renaming.everywhere.items()}
        for path, answer in all_laws(list(paths), "--stdlib", library).items():
            plain = os.path.join(STDLIB, paths[path]) if paths[path].startswith("methods") else paths[path]
            with open(plain) as file:
                self.hold(paths[path], answer, with_library(file.read()), originals)


def code_of(path):
    with open(path) as file:
        return re.sub(r'//[^\n]*|"[^"\n]*"', " ", file.read())


if __name__ == "__main__":
    unittest.main()
