"""Damaged programs and libraries: an answer within 10 seconds, a program or messages, never a crash or an internal error.

`test_mutations.py COUNT SEED` tries more; what fails is kept in a folder that the last line names.
"""
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from compiles import CRASHES, PEFTC, ROOT, tiny_bert  # noqa: E402

TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|\w+|\s+|<-|<=|\*\*|\.\.|.', re.S)
PROGRAM = "\nmodel base = bert\ntask classify(labels = 3)\nattach %s%s to %s\ntrain head\noptimize adamw(lr = 1e-3) { schedule cosine(warmup = 0.1) }\n"
PLACES = {"linear": "layers[*].**, pooler where kind == linear", "sublayer": "layers[*].ffn", "attention": "layers[*].attention", "layer": "layers[*]",
          "norm": "layers[*].** where kind == norm", "embedding": "embeddings.** where kind == embedding", "model": "model"}


def subjects():
    """(program, the library's file to damage or None)."""
    lora = (ROOT / "examples/01-lora/spec.peft").read_text()
    found = [(path.read_text().replace("reduction = 16", "reduction = 12"), None) for path in sorted(ROOT.glob("examples/*/*.peft"))]
    for path in sorted((ROOT / "stdlib/methods").glob("*.peft")):
        text = path.read_text()
        name, kinds = re.search(r"^method (\w+)", text, re.M)[1], re.findall(r"^(?:method .*|  )on (\w+)", text, re.M)
        kind = "model" if "model" in kinds else kinds[0]
        found.append((text + PROGRAM % (name, "(reduction = 6)" if re.search(r"\breduction: int", text) else "", PLACES[kind]), None))
    for path in sorted((ROOT / "stdlib").rglob("*.peft")):
        if path.parent.name != "methods" and path.name != "laws.peft":
            found += [(lora, path.relative_to(ROOT / "stdlib"))] * (6 if path.parent.name in ("stdlib", "arch") else 1)
    return found


def mutated(source, text, others):
    """One to three tokens deleted, doubled, swapped with another, or replaced by another text's; numbers are also made strange."""
    tokens = TOKEN.findall(text)
    words = [i for i, token in enumerate(tokens) if not token.isspace()]
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        at, other = source.choice(words), source.choice(words)
        kind = source.randrange(5)
        if kind == 0:
            tokens[at] = ""
        elif kind == 1:
            tokens[at] *= 2
        elif kind == 2:
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif kind == 3:
            tokens[at] = source.choice(others)
        else:
            numbers = [i for i in words if tokens[i].isdigit()] or [at]
            tokens[source.choice(numbers)] = source.choice(["0", "-1", "1e9", "0.5", "none", "true", "[1, 2]", '"x"', "relu", "1e-320", "4611686018427387904"])
    return "".join(tokens)


def attempt(folder, model, program, library, text):
    """What is wrong with the answer, or "" and the exit code."""
    spec = folder / "spec.peft"
    spec.write_text(program if library else text)
    options = []
    if library:
        stdlib = folder / "stdlib"
        shutil.rmtree(stdlib, ignore_errors=True)
        shutil.copytree(ROOT / "stdlib", stdlib)
        (stdlib / library).write_text(text)
        options = ["--stdlib", stdlib]
    try:
        done = subprocess.run([PEFTC, spec, "--model", model, "--bundle", folder / "bundle", *options], capture_output=True, timeout=10, cwd=folder)
    except subprocess.TimeoutExpired:
        return "it took more than 10 s", 1
    said = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode not in (0, 1):
        return f"exit code {done.returncode}\n{said[-2000:]}", done.returncode
    if done.returncode == 1 and not said.startswith("error[E"):
        return f"no message\n{said[-2000:]}", 1
    return "\n".join(said[:2000] for crash in CRASHES if crash in said)[:2000], done.returncode


def main(count, seed):
    source = random.Random(seed)
    all_subjects = subjects()
    others = [token for program, _ in all_subjects for token in TOKEN.findall(program) if not token.isspace()]
    failures, compiled = 0, 0
    kept = pathlib.Path(tempfile.mkdtemp(prefix="peft-mutations-"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        tiny_bert.make(folder / "model")
        for program, library in all_subjects[:4]:
            assert attempt(folder, folder / "model", program, library, program) == ("", 0), "what is damaged must be whole"
        for number in range(count):
            program, library = source.choice(all_subjects)
            text = mutated(source, (ROOT / "stdlib" / library).read_text() if library else program, others)
            wrong, code = attempt(folder, folder / "model", program, library, text)
            compiled += code == 0 and not wrong
            if wrong:
                failures += 1
                name = f"{seed}-{number}{'-' + library.stem if library else ''}.peft"
                (kept / name).write_text(text)
                print(f"{name}: {wrong}\n", flush=True)
    print(f"{count} damaged texts, {compiled} still compile, {failures} failures" + (f" in {kept}" if failures else ""))
    if not failures:
        os.rmdir(kept)
    if not 0 < compiled < count * 0.8:
        sys.exit("most damage must be noticed, and not all of it")
    sys.exit(failures != 0)


main(*map(int, sys.argv[1:] or (100, 20261123)))
