"""Our side: a method's program, its trainer, and training for some steps with a time for each.

A trainer's progress line is read through a pseudo-terminal and timed as it arrives: a line a step, at most one each 0.1 s. Start-up and
warm-up lie before the first line that counts. `metrics.jsonl` says the loss and the tokens of each step."""
import json
import os
import pathlib
import pty
import re
import subprocess
import time

from bench import QUIET, environment

ATTACHES = {
    "lora": "attach lora(r = 8, alpha = 8) to layers[*].** where kind == linear",
    "dora": "attach dora(r = 8, alpha = 8) to layers[*].** where kind == linear",
    "serial_adapter": "attach serial_adapter(reduction = 16) to layers[*].{attention, ffn}",
    "prefix": "attach prefix(n = 10) to layers[*].attention",
    "ia3": "attach ia3 to layers[*].{attention.{k, v}, ffn.up}",
}
TRAINS = {  # no adapter, but weights of the model
    "frozen": "train layers[0].attention.{q, k, v}.b",  # of whose gradients LoRA on all linears needs as much
    "full": "train embeddings, layers[*], pooler",
}
METHODS = [*ATTACHES, *TRAINS]
LR = {"full": 2e-5}  # else 2e-3
SPEC = """{what}
model base = bert
task classify(labels = {labels})
train head
optimize adamw(lr = {lr}, weight_decay = 0.01)
run {{ epochs = 1, batch = {batch}, max_length = {longest}, clip = 1.0, base_dropout = {dropout}, precision = {precision}, shuffle = false, save_every = 1000000 }}
"""
STEP = re.compile(rb"step (\d+)/\d+  loss")


class Refused(Exception):
    """The compiler knows what is asked for and does not do it yet; its first line says so."""


def lr_of(method):
    return LR.get(method, 2e-3)


def compile_trainer(folder, peftc, model, **values):
    """The trainer's path."""
    method = values["method"]
    what = TRAINS.get(method) or f"use peft.methods.{{{method}}}\n{ATTACHES[method]}"
    return compile_text(folder, peftc, model, what, lr=lr_of(method), **values)


def compile_text(folder, peftc, model, what, **values):
    """The trainer's path; `what` says what is attached or trained."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.peft").write_text(SPEC.format(what=what, **values))
    done = subprocess.run([peftc, folder / "spec.peft", "--model", model, "-o", folder / "trainer"], capture_output=True, text=True)
    if done.returncode == 1 and done.stderr.startswith("error[E0199]"):
        raise Refused(done.stderr.splitlines()[0])
    if done.returncode:
        raise RuntimeError(f"{peftc}: exit code {done.returncode}\n{done.stderr}")
    return folder / "trainer"


def timed(command, env):
    """Runs to the end: [(step, when)], standard output, what the kernel counted."""
    time.sleep(QUIET)
    ours, its = pty.openpty()
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=its, env=env)
    os.close(its)
    events, said = [], b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how a pseudo-terminal ends
            break
        now = time.perf_counter()
        seen = len(STEP.findall(said))
        said += part
        events += [(int(step), now) for step in STEP.findall(said)[seen:]]
    os.close(ours)
    out = process.stdout.read().decode()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{said.decode(errors='replace')}")
    return events, out, usage


def clocked(events, tokens, first):
    """(seconds, tokens, steps) from the end of step `first`, or the next that was shown, to the last that was shown; None if there are not two."""
    shown = [event for event in events if event[0] >= first]
    if len(shown) < 2 or shown[-1][1] <= shown[0][1]:  # read together, as on a machine that is busy
        return None
    (begin, start), (end, stop) = shown[0], shown[-1]
    return stop - start, sum(tokens[step] for step in range(begin + 1, end + 1)), end - begin


class Training:
    """One run in pieces: each `go` starts the trainer, which goes on where it stopped. `trainer`: its path, or the words that start it; `init`: a file of initial parameters,
    or None; `more`: words for each start."""

    def __init__(self, trainer, data, init, threads, run=None, more=()):
        self.command = trainer if isinstance(trainer, list) else [trainer]
        self.data, self.init, self.threads, self.more = data, init, threads, more
        self.run = run or trainer.parent / "run"
        self.done, self.seconds = 0, 0.0

    def go(self, warm, steps):
        start = ["--resume"] if self.done else ["--data", self.data, *(["--init", self.init] if self.init else [])]
        command = [*self.command, "train", "--out", self.run, "--json", "--threads", self.threads, "--limit-steps", self.done + warm + steps, *start, *self.more]
        events, out, usage = timed(command, environment(self.threads))
        lines = [line for line in map(json.loads, (self.run / "metrics.jsonl").read_text().splitlines()) if "loss" in line]
        tokens = {line["step"]: line["tokens"] for line in lines}
        report = json.loads(out)
        whole, self.seconds = report["seconds"] - self.seconds, report["seconds"]
        mine = [line for line in lines if line["step"] > self.done]
        found = clocked(events, tokens, self.done + warm)
        self.done += warm + steps
        seconds, count, taken = found or (whole, sum(line["tokens"] for line in mine), len(mine))
        return {"seconds": seconds, "tokens": count, "steps": taken, "rate": count / seconds, "warm_excluded": found is not None, "losses": [line["loss"] for line in mine],
                "peak_mib": usage.ru_maxrss / 1024, "cpu_seconds": usage.ru_utime + usage.ru_stime, "report": report}
