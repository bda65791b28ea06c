"""The house's rules as data: who may include whom, how things are named, how long they may be. Reads sources only."""
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = [pathlib.Path(line) for line in subprocess.run(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"], capture_output=True,
                                                       text=True, check=True).stdout.splitlines() if (ROOT / line).is_file()]
SOURCES = [path for path in FILES if path.suffix in (".cpp", ".h") and (path.parts[0] in ("lang", "dialects", "compiler", "runtime") or path.parts[:2] == ("tests", "gpu"))]
TEXT = {path: (ROOT / path).read_text() for path in SOURCES}

# Folder of the includer -> folders of the project that it may include; the longest key that fits holds.
LANG = ["lang/source", "lang/diag", "lang/ast", "lang/syntax", "lang/spec", "lang/format", "lang/sema"]
MAY = {
    "lang/source": ["lang/source"],
    "lang/diag": ["lang/source", "lang/diag"],
    "lang/ast": ["lang/source", "lang/diag", "lang/ast"],
    "lang/spec": ["lang/source", "lang/diag", "lang/ast", "lang/spec"],
    "lang/syntax": ["lang/source", "lang/diag", "lang/ast", "lang/syntax"],
    "lang/format": LANG[:4] + ["lang/format"],
    "lang/sema": ["lang/source", "lang/diag", "lang/ast", "lang/syntax", "lang/spec", "lang/sema"],
    "dialects/nn": ["dialects/nn"],
    "dialects/peft": ["dialects/peft"],
    "dialects/plan": ["dialects/plan"],
    "compiler": ["lang", "dialects", "compiler", "runtime/bundle"],
    "runtime/bundle": ["runtime/bundle"],
    "runtime": ["runtime"],
    "tests/gpu/emulator": ["tests/gpu/emulator"],
    "tests/gpu": ["tests/gpu", "runtime/bundle", "runtime/cpu"],
    "tests/gpu/driver": ["tests/gpu", "runtime/cuda"],
    "tests/gpu/blas": ["tests/gpu", "runtime/cuda"],
}
# What comes from outside -> the folders that may include it.
OUTSIDE = {
    r"(mlir|llvm|llvm-c)/": ["dialects", "compiler"],
    r"lld/": ["compiler/target"],
    r"antlr4": ["lang/syntax"],
    r"(ATen|torch|c10)/": ["runtime"],
    r"cuda": ["runtime/cuda"],
}
SMALL_WORDS = {  # names of the library that are English or the field's words for something else in the sources
    "prefix": "of a name", "prompt": "at the prompt", "linear": "a kind of site, an affine map", "classify": "", "regress": "", "constant": "a value",
    "step": "of training", "cosine": "",
}


def folder_of(include):
    return "/".join(include.split("/")[:-1])


def fits(folder, key):
    return folder == key or folder.startswith(key + "/")


class Layering(unittest.TestCase):
    def check(self, broken, why):
        self.assertFalse(broken, why + ":\n  " + "\n  ".join(sorted(map(str, broken))))

    def test_includes(self):
        broken, seen = [], 0
        for path, text in TEXT.items():
            key = max((k for k in MAY if fits(str(path.parent), k)), key=len)
            for kind, name in re.findall(r'^#include ([<"])([^>"]+)[>"]', text, re.M):
                seen += 1
                if kind == '"' and name.split("/")[0] in ("lang", "dialects", "compiler", "runtime", "tests"):
                    if not any(fits(folder_of(name), allowed) for allowed in MAY[key]):
                        broken.append(f"{path} includes {name}")
                for pattern, folders in OUTSIDE.items():
                    if re.match(pattern, name) and not any(fits(str(path.parent), folder) for folder in folders):
                        broken.append(f"{path} includes {name}")
        self.assertGreater(seen, 500)
        self.check(broken, "forbidden includes")

    def test_no_antlr_outside_syntax(self):
        self.check([p for p, text in TEXT.items() if p.parts[:2] != ("lang", "syntax") and re.search(r"\bantlr4\b", text)], "ANTLR outside lang/syntax")

    def test_no_names_of_the_library_in_cpp(self):
        names = set()
        for path in FILES:
            if path.suffix == ".peft" and path.parts[0] == "stdlib" and path.name != "prelude.peft":
                names |= set(re.findall(r"^(?:method|arch|optimizer|task|schedule) (\w+)", (ROOT / path).read_text(), re.M))
        self.assertIn("lora", names)
        names -= set(SMALL_WORDS)
        word = re.compile(r"(?<![\w-])(" + "|".join(sorted(names)) + r")(?![\w-])", re.I)
        broken = []
        for path, text in TEXT.items():
            if path.parts[0] == "tests":  # PTX has a `mov`, too
                continue
            for number, line in enumerate(text.splitlines(), 1):
                code = re.sub(r"//.*", "", line)  # comments may give examples
                for found in word.findall(code):
                    broken.append(f"{path}:{number}: {found}")
        self.check(broken, "C++ names what only the library may name")

    def test_passes_are_files_and_tests(self):
        names = re.findall(r'\{"((?:nn|plan)-[a-z-]+)",', (ROOT / "compiler/driver/Phases.cpp").read_text())
        self.assertGreater(len(names), 7)
        broken = []
        for name in names:
            folder, stem = name.split("-", 1)
            source = f"compiler/passes/{folder}/{''.join(part.capitalize() for part in stem.split('-'))}.cpp"
            test = f"tests/compiler/passes/{folder}/{stem}.mlir"
            broken += [f"{name}: there is no {file}" for file in (source, test) if not (ROOT / file).exists()]
        self.check(broken, "a pass is a file is a test")

    def test_builtins_are_built(self):
        rows = re.findall(r'^PEFT_BUILTIN\("(\w+)", ".*?", (Built|Later)', (ROOT / "lang/sema/Builtins.def").read_text(), re.M)
        source = (ROOT / "compiler/import/Builtins.cpp").read_text()
        named = set(re.findall(r'\{"(\w+)", (?:\{|&B::)', source)) | set(re.findall(r'"(\w+)"', re.search(r"kInitializers = \{(.*?)\};", source, re.S)[1]))
        self.assertGreater(len(rows), 40)
        self.check({name for name, state in rows if state == "Built"} ^ named, "Builtins.def and Builtins.cpp differ")

    def test_codes_have_pages(self):
        codes = set(re.findall(r"PEFT_DIAG\((E\d{4})", (ROOT / "lang/diag/Kinds.def").read_text()))
        self.assertGreater(len(codes), 25)
        self.check({c for c in codes if not (ROOT / f"lang/diag/explain/{c}.md").exists()}, "codes without a page")
        self.check({p.name for p in (ROOT / "lang/diag/explain").glob("E*.md") if p.stem not in codes}, "pages without a code")

    def test_runtime_codes_are_in_the_table(self):
        used = {code for path, text in TEXT.items() if path.parts[0] == "runtime" for code in re.findall(r'"(R\d{4})"', text)}
        listed = set(re.findall(r"\| (R\d{4}) \|", (ROOT / "runtime/modes/README.md").read_text()))
        self.check(used ^ listed, "runtime/modes/README.md and the sources differ in codes")

    def test_folders(self):
        folders = {path.parent for path in SOURCES} | {path.parent for path in FILES if path.suffix == ".peft" and path.parts[0] == "stdlib"}
        self.check({f for f in folders if f.name in ("utils", "common", "helpers", "support", "docs", "misc")}, "folders named after nothing")
        missing = {f for f in folders if not (ROOT / f / "README.md").exists() and not (ROOT / f.parent / "README.md").exists()}
        self.check(missing, "folders of which no README tells")

    def test_files_open_with_a_contract(self):
        self.check({p for p, text in TEXT.items() if not text.startswith("// ") and p.parts[:2] != ("lang", "syntax")}, "files without a contract")

    def test_length(self):
        self.check({f"{p}: {text.count(chr(10))} lines" for p, text in TEXT.items() if text.count("\n") > 500}, "files over 500 lines")
        broken = set()
        for path, text in TEXT.items():
            if path.suffix != ".cpp":
                continue
            # A definition opens in column 0 (or 2 within a class) and ends with a brace in the same column.
            for match in re.finditer(r"^( {0,2})(?! |//|#|namespace|class|struct|enum|using|}|public|private)[\w:<>&*,~ ]+\(.*\{$", text, re.M):
                end = text.find(f"\n{match[1]}}}", match.end())
                length = text.count("\n", match.start(), end) + 1
                if end > 0 and length > 60:
                    broken.add(f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {length} lines")
        self.check(broken, "functions over 60 lines")

    def test_no_smells(self):
        broken = []
        for path, text in TEXT.items():
            tool = "tools" in path.parts or path.parts[:2] == ("runtime", "modes") or path.stem.endswith(("Test", "Case"))
            for pattern, why in ((r"\bstd::cout\b", "prints"), (r"(?<![.\w])exit\(", "exits"), (r"\bcl::opt\b", "has a global flag"), (r"\bgetenv\(", "reads the environment"),
                                 (r"#ifdef USE_", "is configured by macros")):
                if re.search(pattern, text) and not tool:
                    broken.append(f"{path} {why}")
        self.check(broken, "a library does not")


if __name__ == "__main__":
    unittest.main(verbosity=1)
