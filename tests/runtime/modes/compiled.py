"""A real trainer for tests: a tiny random BERT, a tokenizer of 90 words, rows, and a spec compiled for them."""
import ctypes
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests", "compiler"))
import tiny_bert

import torch  # its LibTorch is the runtime's

os.environ["OMP_NUM_THREADS"] = "1"  # on a busy machine two threads of tiny steps wait for each other most of the time
torch.set_num_threads(1)             # for the forked

BIN = os.path.join(os.environ["PEFT_BUILD"], "bin")
RUNTIME_LIB = os.path.join(os.environ["PEFT_BUILD"], "lib", "libpeft-runtime.so")
RUNTIME = ctypes.CDLL(RUNTIME_LIB)
LABELS = "xyz"
SPEC = """use peft.methods.{lora}

model base = bert
task classify(labels = 3)
attach lora(r = %d) to layers[*].attention.* where kind == linear
train head
optimize adamw(lr = 1e-2)
run { epochs = 4, batch = 8, max_length = 24 }
"""


def write_rows(path, count, seed, text=False):
    """The label is the third of the vocabulary that most words come from."""
    source = random.Random(seed)
    with open(path, "w") as file:
        for _ in range(count):
            label = source.randrange(3)
            ids = [10 + (source.randrange(90) if source.random() < 0.3 else label * 30 + source.randrange(30)) for _ in range(source.randrange(3, 20))]
            row = {"text": " ".join(f"w{i}" for i in ids)} if text else {"input_ids": [2, *ids, 3]}
            file.write(json.dumps({**row, "label": LABELS[label]}) + "\n")
    return path


def write_tokenizer(folder, words=100, special=True):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    known = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, **{f"w{i}": i for i in range(10, words)}}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if special:
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(os.path.join(folder, "tokenizer.json"))


def tree(folder):
    """Every file below a folder with a hash of its bytes, every link with its target."""
    found = {}
    for path, folders, files in os.walk(folder):
        for name in folders + files:
            full = os.path.join(path, name)
            if os.path.islink(full):
                found[full] = "-> " + os.readlink(full)
            elif os.path.isfile(full):
                with open(full, "rb") as file:
                    found[full] = hashlib.sha256(file.read()).hexdigest()
            else:
                found[full] = "folder"
    return found


def run_and_leave(words, out, err, env, preexec_fn):
    """In a forked child: the command by the runtime's entry point, then the end of the process."""
    try:
        signal.alarm(120)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        os.environ.clear()
        os.environ.update(env)
        if preexec_fn:
            preexec_fn()
        status = RUNTIME.peftRuntimeMain(len(words), (ctypes.c_char_p * (len(words) + 1))(*[word.encode() for word in words], None))
        ctypes.CDLL(None).fflush(None)
        os._exit(status)
    finally:
        os._exit(99)


class TrainerTest(unittest.TestCase):
    """A scratch folder with `model`, `trainer`, train.jsonl and valid.jsonl; one for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.root = cls.scratch.name
        cls.model = cls.path("model")
        tiny_bert.make(cls.model)
        write_tokenizer(cls.model)
        cls.program = cls.compile("trainer")
        cls.train_rows = write_rows(cls.path("train.jsonl"), 160, 1)
        cls.valid_rows = write_rows(cls.path("valid.jsonl"), 24, 2)
        cls.environment = dict(os.environ, PEFT_PYTHON=sys.executable, XDG_CACHE_HOME=cls.path("cache"))

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.root, name)

    @classmethod
    def compile(cls, name, rank=4, spec=SPEC, model=None):
        source = cls.path(name + ".peft")
        with open(source, "w") as file:
            file.write(spec % rank)
        subprocess.run([BIN + "/peftc", source, "--model", model or cls.model, "-o", cls.path(name), "--bundle", cls.path(name + ".bundle"), "--runner", BIN + "/peft-runner"], check=True)
        return cls.path(name)

    def run_trainer(self, *words, program=None, spawn=False, env=None, preexec_fn=None):
        """A forked process that has LibTorch loaded runs the command, which saves most of its time; `spawn`: the trainer's own file."""
        program, env = program or self.program, env or self.environment
        if spawn:
            return subprocess.run([program, *words], capture_output=True, text=True, timeout=120, env=env, preexec_fn=preexec_fn)
        words = ["peft-runner", *(words if words[:1] == ("--bundle",) else ("--bundle", program, *words))]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if child == 0:
                run_and_leave(words, out, err, env, preexec_fn)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = [(file.seek(0), file.read().decode())[1] for file in (out, err)]
        return subprocess.CompletedProcess(words, status, *texts)

    def trainer(self, *words, code=0, **options):
        done = self.run_trainer(*words, **options)
        self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    def refused(self, error, texts, *words, program=None, **options):
        """Exit code 1, the code, the texts in the message, and every file as it was."""
        before = tree(self.root)
        done = self.run_trainer(*words, program=program, **options)
        self.assertEqual(done.returncode, 1, f"{words}\n{done.stdout}\n{done.stderr}")
        self.assertEqual(done.stderr.splitlines()[0][:14], f"error[{error}]: ", done.stderr)
        for text in [texts] if isinstance(texts, str) else texts:
            self.assertIn(text, done.stderr)
        self.assertEqual(tree(self.root), before, f"{words}: a refusal changed files")
        return done

    def rows_of(self, path):
        with open(path) as file:
            return [json.loads(line) for line in file]
