#!/usr/bin/env python3
"""A run that is killed, interrupted or stopped at any moment resumes to the same bytes, and never leaves a broken file."""
import glob
import json
import os
import random
import signal
import subprocess
import sys
import time
import unittest

from safetensors.torch import load_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compiled

KILLS = 20
FLAGS = ["--epochs", "10", "--save-every", "3", "--eval-every", "7", "--accumulate", "2", "--clip", "1"]
STEPS = 100  # 160 rows / 8 / 2 * 10


class Resume(compiled.TrainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = ["--data", cls.train_rows, "--valid", cls.valid_rows]
        subprocess.run([cls.program, "train", *cls.data, "--out", cls.path("steady"), *FLAGS], check=True, stderr=subprocess.DEVNULL, env=cls.environment)

    def start(self, run, *words):
        return subprocess.Popen([self.program, "train", "--out", self.path(run), *words], stderr=subprocess.PIPE, text=True, env=self.environment)

    def finish(self, run):
        resume = ["--resume"] if os.path.exists(self.path(run + "/run.json")) else [*self.data, *FLAGS]
        self.trainer("train", "--out", self.path(run), *resume)

    def position(self, run):
        try:
            return os.readlink(self.path(run + "/last"))
        except OSError:
            return None

    def wait_until_it_moves(self, run, process):
        before = self.position(run)
        while process.poll() is None and self.position(run) == before:
            time.sleep(0.001)

    def whole(self, run):
        """Everything under its final name is readable; returns the step that a resume would start from."""
        folder = self.path(run)
        for path in glob.glob(folder + "/**/*.safetensors", recursive=True):
            if "/." not in path[len(folder):]:
                load_file(path)
        if not os.path.exists(folder + "/last"):
            return 0
        with open(folder + "/last/state.json") as file:
            state = json.load(file)
        with open(folder + "/metrics.jsonl", "rb") if state["step"] else open(os.devnull, "rb") as file:
            lines = file.read(state["metrics_bytes"])
        self.assertEqual(len(lines), state["metrics_bytes"])
        self.assertEqual(sum("loss" in json.loads(line) for line in lines.splitlines()), state["step"])
        return state["step"]

    def same_as_steady(self, run):
        for name in ("metrics.jsonl", "adapter.safetensors", "last/adapter.safetensors", "last/optimizer.safetensors"):
            with open(self.path("steady/" + name), "rb") as a, open(self.path(f"{run}/{name}"), "rb") as b:
                self.assertEqual(a.read(), b.read(), f"{run}: {name} differs from the run that was never stopped")
        leftovers = [name for name in os.listdir(self.path(run)) if name not in {"run.json", "adapter.safetensors", "last", "metrics.jsonl", ".lock", self.position(run)}]
        self.assertEqual(leftovers, [])

    def test_the_steady_run_is_what_it_should_be(self):
        lines = self.rows_of(self.path("steady/metrics.jsonl"))
        self.assertEqual([line["step"] for line in lines if "loss" in line], list(range(1, STEPS + 1)))
        self.assertEqual([line["step"] for line in lines if "eval" in line], [*range(7, STEPS, 7), STEPS])
        self.assertLess(lines[-2]["loss"], lines[0]["loss"])

    def test_kill_at_any_moment(self):
        source, reached = random.Random(7), []
        while len(reached) < KILLS:
            resume = ["--resume"] if os.path.exists(self.path("killed/run.json")) else [*self.data, *FLAGS]
            process = self.start("killed", *resume)
            if len(reached) % 4 != 3:  # else at a moment of starting up
                self.wait_until_it_moves("killed", process)
            time.sleep(source.random() * 0.03)
            process.kill()
            process.communicate()
            self.assertEqual(process.returncode, -signal.SIGKILL, "the run ended before it was killed: give it more steps")
            reached.append(self.whole("killed"))
        self.assertEqual(reached, sorted(reached))
        self.assertGreater(len(set(reached)), KILLS // 2, f"killed at {reached}: too few different moments")
        self.finish("killed")
        self.same_as_steady("killed")

    def interrupted(self, run, number, code):
        process = self.start(run, *self.data, *FLAGS)
        self.wait_until_it_moves(run, process)
        self.wait_until_it_moves(run, process)
        process.send_signal(number)
        said = process.communicate()[1]
        self.assertEqual(process.returncode, code, said)
        step = self.whole(run)
        self.assertIn(f"interrupted and saved at step {step} of {STEPS}; go on with: train --out {self.path(run)} --resume", said)
        self.assertGreater(step, 2)
        self.finish(run)
        self.same_as_steady(run)

    def test_interrupt_saves_and_says_so(self):
        self.interrupted("interrupt", signal.SIGINT, 130)

    def test_terminate_saves_and_says_so(self):
        self.interrupted("terminate", signal.SIGTERM, 143)

    def test_interrupt_twice_ends_at_once(self):
        process = self.start("twice", *self.data, *FLAGS)
        self.wait_until_it_moves("twice", process)
        self.wait_until_it_moves("twice", process)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate()
        self.assertIn(process.returncode, (130, -signal.SIGINT))
        self.whole("twice")
        self.finish("twice")
        self.same_as_steady("twice")

    def test_stopped_and_moved(self):
        self.trainer("train", "--out", self.path("moved"), *self.data, *FLAGS, "--limit-steps", "5")
        self.assertEqual(self.whole("moved"), 5)
        subprocess.run(["cp", "-rL", self.path("moved"), self.path("elsewhere")], check=True)  # follows links: `last` becomes a folder
        self.trainer("train", "--out", self.path("elsewhere"), "--resume", "--limit-steps", "12")
        self.assertEqual(self.whole("elsewhere"), 12)
        done = self.trainer("train", "--out", self.path("elsewhere"), "--resume", "--json")
        report = json.loads(done.stdout)
        self.assertEqual((report["step"], report["finished"]), (STEPS, True))
        self.assertTrue(os.path.islink(self.path("elsewhere/last")))
        self.same_as_steady("elsewhere")
        again = self.trainer("train", "--out", self.path("elsewhere"), "--resume")
        self.assertIn(f"is complete: {STEPS} steps", again.stderr)
        self.same_as_steady("elsewhere")

    def test_a_run_without_its_checkpoint_is_not_begun_again(self):
        self.trainer("train", "--out", self.path("headless"), *self.data, *FLAGS, "--limit-steps", "20")
        self.assertTrue(os.path.exists(self.path("headless/adapter.safetensors")))
        os.remove(self.path("headless/last"))
        self.refused("R0119", ["no checkpoint to resume from", "--overwrite"], "train", "--out", self.path("headless"), "--resume")

    def test_one_process_at_a_time(self):
        process = self.start("busy", *self.data, "--epochs", "1000", "--save-every", "100")
        self.wait_until_it_moves("busy", process)
        for words in (["--resume"], [*self.data, "--overwrite"]):
            done = self.run_trainer("train", "--out", self.path("busy"), *words)
            self.assertEqual(done.returncode, 1)
            self.assertIn("error[R0121]", done.stderr)
        self.assertIsNone(process.poll(), "the first one must go on")
        process.kill()
        process.communicate()


if __name__ == "__main__":
    unittest.main()
