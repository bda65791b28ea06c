"""`peftc search` on a tiny random BERT: what it finds, what it writes, and what becomes of a study that is stopped, shared or broken."""
import csv
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/compiler"), str(ROOT / "tests/runtime/modes")]
import tiny_bert  # noqa: E402
from compiled import write_rows  # noqa: E402

PEFTC = pathlib.Path(os.environ.get("PEFT_BUILD", ROOT / "build")) / "bin/peftc"
HEAD = "use peft.methods.{lora, serial_adapter}\n\n// A comment of mine.\nmodel base = bert\ntask classify(labels = 3)\n"
TAIL = "train head\noptimize adamw(lr = choose(1e-3, 1e-2, 3e-2))   // how fast\nrun { epochs = 1, batch = 8, max_length = 24 }\n"
SPEC = HEAD + "attach lora(r = choose(1, 2, 4)) to layers[*].attention.q   // where\n" + TAIL + "search {\n  minimize loss\n  minimize params\n  strategy tpe(trials = 7, seed = 1)\n}\n"


class Search(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.scratch.name)
        tiny_bert.make(cls.root / "model")
        for name, count, seed in (("train.jsonl", 80, 1), ("valid.jsonl", 24, 2)):
            write_rows(cls.root / name, count, seed)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def setUp(self):
        self.here = pathlib.Path(tempfile.mkdtemp(dir=self.root))
        self.spec(SPEC)

    def spec(self, text):
        (self.here / "spec.peft").write_text(text)

    def start(self, *words, study="study", environment=None):
        command = [PEFTC, "search", "spec.peft", "--model", "../model", "--data", "../train.jsonl", "--valid", "../valid.jsonl", "-o", "best.peft", "--study", study, "--json", *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PEFT_PYTHON": sys.executable, "PEFT_CACHE": str(self.root / "cache"), **(environment or {})}
        return subprocess.Popen([str(word) for word in command], cwd=self.here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def search(self, *words, code=0, **options):
        """The trials and the report that it prints."""
        process = self.start(*words, **options)
        out, said = process.communicate(timeout=500)
        self.assertEqual(process.returncode, code, out + said)
        self.assertNotIn("Traceback", said)
        lines = [json.loads(line) for line in out.splitlines()]
        return (lines[:-1], lines[-1]) if lines else ([], said)

    def run_here(self, *words, code=0):
        done = subprocess.run([str(word) for word in words], cwd=self.here, env=dict(os.environ, OMP_NUM_THREADS="1", PEFT_CACHE=str(self.root / "cache")), capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def rows(self, name, study="study"):
        with open(self.here / study / name, newline="") as file:
            return list(csv.DictReader(file))

    def test_what_it_finds(self):
        trials, report = self.search()
        self.assertEqual(len(trials), 7)
        self.assertEqual(len({json.dumps(trial["choices"]) for trial in trials}), 7)  # no point twice
        self.assertEqual((report["complete"], report["pruned"], report["failed"], report["seed"]), (7, 0, 0, 1))
        for trial in trials:  # a rank's parameters, by hand: A and B at two layers, and the head
            self.assertEqual(trial["values"]["params"], 2 * int(trial["choices"]["lora.r"]) * (24 + 24) + 3 * 25, trial)
        # The front is what no other trial beats, and all of it.
        values = [(trial["values"]["loss"], trial["values"]["params"]) for trial in trials]
        beaten = [any(a[0] <= b[0] and a[1] <= b[1] and a != b for a in values) for b in values]
        self.assertEqual([row["front"] for row in self.rows("trials.csv")], ["no" if one else "yes" for one in beaten])
        self.assertEqual([int(row["trial"]) for row in self.rows("front.csv")], [trial["trial"] for trial, one in zip(trials, beaten) if not one])
        self.assertEqual(report["best"]["values"]["loss"], min(loss for loss, _ in values))
        self.assertEqual(len(xml.etree.ElementTree.parse(self.here / "study/front.svg").getroot().findall("{*}circle")), 7)
        self.check_best(report["best"])

    def check_best(self, best):
        """The program that is written is the user's own, and gives that trial's loss to the last digit."""
        first, *rest = (self.here / "best.peft").read_text().splitlines(keepends=True)
        self.assertRegex(first, rf"^// trial {best['trial']}, one of 7, loss [\d.]+, params \d+; peftc search spec.peft$")
        wanted = SPEC[:SPEC.index("search {")].replace("choose(1, 2, 4)", best["choices"]["lora.r"]).replace("choose(1e-3, 1e-2, 3e-2)", best["choices"]["adamw.lr"])
        self.assertEqual("".join(rest), wanted)
        chosen = [f"--choose={name}={value}" for name, value in best["choices"].items()]
        self.assertEqual(self.run_here(PEFTC, "best.peft", "--emit=spec"), self.run_here(PEFTC, "spec.peft", "--emit=spec", *chosen))
        self.assertEqual(self.run_here(PEFTC, "spec.peft", "--emit=chosen", *chosen), wanted)
        self.run_here(PEFTC, "best.peft", "--model", "../model", "-o", "trainer")
        self.run_here("./trainer", "train", "--data", "../train.jsonl", "--valid", "../valid.jsonl", "--out", "run")
        self.assertEqual(json.loads(self.run_here("./trainer", "eval", "run", "--data", "../valid.jsonl", "--json"))["loss"], best["values"]["loss"])

    def test_resumed_is_uninterrupted(self):
        whole, _ = self.search()
        first, report = self.search("--trials", "3", study="pieces")
        self.assertEqual((len(first), report["complete"]), (3, 3))
        rest, report = self.search(study="pieces")
        self.assertEqual((len(rest), report["complete"]), (4, 7))
        plain = [{key: trial[key] for key in ("trial", "choices", "values")} for trial in whole]
        self.assertEqual([{key: trial[key] for key in ("trial", "choices", "values")} for trial in first + rest], plain)
        self.assertEqual(self.search(study="pieces")[0], [])  # it has ended

    def after_some(self, process, count):
        """Once it has printed so many trials."""
        lines = [process.stdout.readline() for _ in range(count)]
        time.sleep(0.3)  # into the next
        return lines

    def test_interrupted(self):
        process = self.start()
        self.after_some(process, 2)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 130, out + said)
        self.assertTrue(json.loads(out.splitlines()[-1])["interrupted"])
        stopped = [row["state"] for row in self.rows("trials.csv")]
        self.assertLess(stopped.count("complete"), 7)
        _, report = self.search()
        self.assertEqual(report["complete"], 7)
        self.assertEqual([row["state"] for row in self.rows("trials.csv")].count("interrupted"), stopped.count("interrupted"))

    def test_killed(self):
        process = self.start()
        self.after_some(process, 1)
        process.kill()
        process.wait()
        process.stdout.close(), process.stderr.close()
        _, report = self.search("--trials", "4")
        self.assertEqual(report["complete"], 4)
        self.assertEqual([row["state"] for row in self.rows("trials.csv")].count("running"), 0)

    def test_two_processes(self):
        both = [self.start() for _ in range(2)]
        said = [process.communicate(timeout=500) for process in both]
        self.assertEqual([process.returncode for process in both], [0, 0], said)
        shares = [[json.loads(line)["trial"] for line in out.splitlines()[:-1]] for out, _ in said]
        self.assertEqual(len(set(shares[0] + shares[1])), 7)
        self.assertTrue(shares[0] and shares[1], shares)
        self.assertEqual({row["state"] for row in self.rows("trials.csv")}, {"complete"})

    def test_what_fails_is_recorded(self):
        self.spec(HEAD + "attach lora(r = choose(1, 16)) to layers[*].attention.q\ntrain head\noptimize adamw(lr = choose(1e-2, 1e30))\nrun { epochs = 1, batch = 8, max_length = 24 }\n"
                  "budget params <= 1000\nsearch { minimize loss; strategy random(trials = 4, seed = 3) }\n")
        trials, report = self.search()
        self.assertEqual(len(trials), 4)  # all that there are
        for trial in trials:
            if trial["choices"]["lora.r"] == "16":
                self.assertEqual(trial["state"], "pruned")
                self.assertIn("E0501", trial["error"])
                self.assertFalse((self.here / "study/trials" / str(trial["trial"]) / "run").exists())
            elif trial["choices"]["adamw.lr"] == "1e30":
                self.assertEqual(trial["state"], "failed")
                self.assertIn("R0201", trial["error"])
            else:
                self.assertEqual(trial["state"], "complete")
        self.assertEqual({trial["state"] for trial in trials}, {"pruned", "failed", "complete"})
        self.assertEqual(report["best"]["choices"], {"lora.r": "1", "adamw.lr": "1e-2"})

    def test_no_trial_ends(self):
        self.spec(SPEC.replace("train head", "train head\nbudget params <= 10"))
        trials, report = self.search("--trials", "2", code=1)
        self.assertEqual([trial["state"] for trial in trials], ["pruned"] * 2)
        self.assertFalse((self.here / "best.peft").exists())

    def test_refusals(self):
        self.search("--trials", "1")
        self.spec(SPEC.replace("epochs = 1", "epochs = 2"))
        self.assertIn("is of another program", self.search("--trials", "1", code=1)[1])
        self.spec(SPEC.replace("choose(1, 2, 4)", "choose(1, 2)"))
        self.assertRegex(self.search("--trials", "1", code=1)[1], r"E0507.*is of another (space|program)")
        self.spec(SPEC)
        self.assertIn("there is no `nowhere`", self.search(study="new", code=1, environment={"PEFT_PYTHON": "nowhere"})[1])
        self.assertIn("has no `optuna`", self.search(study="new", code=1, environment={"PEFT_PYTHON": "/usr/bin/python3"})[1])
        self.assertIn("reads it", self.search("-o", "spec.peft", code=1)[1])

    def test_held_out(self):
        done = subprocess.run([PEFTC, "search", "spec.peft", "--model", "../model", "--data", "../train.jsonl", "-o", "best.peft", "--trials", "1"], cwd=self.here, capture_output=True, text=True,
                              env=dict(os.environ, PEFT_PYTHON=sys.executable, PEFT_CACHE=str(self.root / "cache")))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"2 choices; minimize loss, minimize params; tpe, 1 trials, seed 1; study: \S*/best.study\n")
        self.assertRegex(done.stdout, r"(?m)^     0 +\d\.\d{4} +\d+ +\d+\.\d  lora\.r=\d  adamw\.lr=\S+$")
        parts = [(self.here / "best.study" / name).read_text().splitlines() for name in ("train.jsonl", "valid.jsonl")]
        self.assertEqual([len(part) for part in parts], [72, 8])
        rows = (self.root / "train.jsonl").read_text().splitlines()
        self.assertEqual(sorted(parts[0] + parts[1]), sorted(rows))


if __name__ == "__main__":
    unittest.main(verbosity=2)
