// StudyScript: Optuna behind lines of JSON, carried inside peftc so that it stays one file.
#include "compiler/search/StudyScript.h"

namespace peftc::search {

const char *const kStudyScript = R"PYTHON(
"""Answers questions about a study, a line of JSON each.

{"ask": choices} -> {"trial": number, "values": {name: value}}, or {"done": true} when enough trials have ended or are under way
{"tell": number, "state": "complete" | "pruned" | "failed" | "interrupted", "values": numbers, "error": text, "seconds": number, "repeats": whether it
 has the choices of an earlier one, and so its values} -> {}
{"trials": true} -> [{"number", "state", "choices", "values", "error", "seconds", "front"}], without those that repeat

usage: python -c SCRIPT OPTIONS; its first line is {"ready": true} or {"error": text}. Exit status 3: Optuna is not installed.
"""
import contextlib, fcntl, json, os, signal, socket, sys, warnings

signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks decides when it is over
warnings.simplefilter("ignore")
try:
    import optuna
except ImportError:
    sys.exit(3)
from optuna.trial import TrialState

optuna.logging.set_verbosity(optuna.logging.ERROR)
options = json.loads(sys.argv[1])
trials, seed = options["trials"], options["seed"]
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL, "interrupted": TrialState.FAIL}
asked = {}


def say(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def alone():
    """No two processes of a folder ask at the same time: they would take the same trial for the last one."""
    with open(os.path.join(options["folder"], "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def born(pid):
    """When a process of this machine began; None if there is none."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


OWNER = [socket.gethostname(), os.getppid(), born(os.getppid())]


def abandoned(trial):
    owner = trial.user_attrs.get("owner")
    return trial.state == TrialState.RUNNING and bool(owner) and owner[0] == OWNER[0] and born(owner[1]) != owner[2]


def sampler(number, repeats):
    """Of one trial: by the seed and its number, so that a study that was interrupted goes on as it would have."""
    drawn = (seed * 1000003 + number) % 2**32
    if options["strategy"] == "random" or repeats > 4:  # it knows no better: anything else
        return optuna.samplers.RandomSampler(seed=drawn)
    if options["strategy"] == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=drawn, population_size=10)
    return optuna.samplers.TPESampler(seed=drawn, n_startup_trials=5)


def open_study():
    with alone():
        waits = {"connect_args": {"timeout": 100}} if options["storage"].startswith("sqlite") else None
        study = optuna.create_study(storage=optuna.storages.RDBStorage(options["storage"], engine_kwargs=waits), study_name="peftc", load_if_exists=True,
                                    directions=options["directions"])
        known = study.user_attrs.get("identity")
        if known is None:
            study.set_user_attr("identity", options["identity"])
        for key, value in (known or {}).items():
            if options["identity"].get(key) != value:
                raise ValueError(f"the study in `{options['folder']}` is of another {key}")
        return study


def ended(trial):
    return trial.state.is_finished() and not trial.user_attrs.get("interrupted") and not trial.user_attrs.get("repeats")


def ask(choices):
    with alone():
        known = study.get_trials(deepcopy=False)
        for trial in known:
            if abandoned(trial):
                again = optuna.Trial(study, trial._trial_id)
                again.set_user_attr("interrupted", True)
                study.tell(trial.number, state=TrialState.FAIL)
        known = study.get_trials(deepcopy=False)
        if sum(ended(trial) or trial.state == TrialState.RUNNING for trial in known) >= trials:
            return {"done": True}
        repeats = next((back for back, trial in enumerate(reversed(known)) if not trial.user_attrs.get("repeats")), len(known))
        if repeats >= 100:  # all there is to try has been tried
            return {"done": True}
        study.sampler = sampler(len(known), repeats)
        trial = study.ask()
        trial.set_user_attr("owner", OWNER)
    values = {}
    for choice in choices:
        if choice["within"] and values.get(choice["within"]) != "yes":
            continue
        values[choice["name"]] = trial.suggest_categorical(choice["name"], choice["values"])
    asked[trial.number] = trial
    return {"trial": trial.number, "values": values}


def tell(question):
    trial = asked.pop(question["tell"])
    trial.set_user_attr("seconds", question["seconds"])
    if question["repeats"]:
        trial.set_user_attr("repeats", True)
    if question["state"] == "interrupted":
        trial.set_user_attr("interrupted", True)
    if question["state"] == "complete":
        study.tell(trial, question["values"])
        return {}
    trial.set_user_attr("error", question["error"])
    study.tell(trial, state=STATES[question["state"]])
    return {}


def state_of(trial):
    if trial.state == TrialState.FAIL:
        return "interrupted" if trial.user_attrs.get("interrupted") else "failed"
    return {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}.get(trial.state, "running")


def all_trials():
    front = {trial.number for trial in study.best_trials}
    return [{"number": trial.number, "state": state_of(trial), "choices": trial.params, "values": trial.values if trial.state == TrialState.COMPLETE else [],
             "error": trial.user_attrs.get("error", ""), "seconds": trial.user_attrs.get("seconds", 0.0), "front": trial.number in front}
            for trial in study.get_trials(deepcopy=False) if not trial.user_attrs.get("repeats")]


def answer(question):
    if "ask" in question:
        return ask(question["ask"])
    return tell(question) if "tell" in question else all_trials()


try:
    study = open_study()
except Exception as error:
    say({"error": str(error).splitlines()[0] if str(error) else type(error).__name__})
    sys.exit(0)
for line in sys.stdin:
    question = json.loads(line)
    try:
        say({"ready": True} if "ready" in question else answer(question))
    except Exception as error:
        say({"error": f"{type(error).__name__}: {error}"})
)PYTHON";

} // namespace peftc::search
