"""Runs ctest's tests and every tests/**/test_*.py as processes of their own: a line per test, then the count."""
import json, os, re, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LIMIT = 600  # seconds for one test
SKIP = 77    # exit code of a test that says why it cannot run here

def ctests(build):
    listed = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], capture_output=True, text=True, check=True)
    for test in json.loads(listed.stdout)["tests"]:
        yield test["name"], ["ctest", "--test-dir", build, "--output-on-failure", "--no-tests=error", "-R", f"^{re.escape(test['name'])}$"]

def scripts(root):
    for path in sorted(root.glob("tests/**/test_*.py")):
        yield str(path.relative_to(root)), [sys.executable, "-B", str(path)]

def run(name, command, root):
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT)
        code, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        code, output = 1, (late.stdout or b"") + f"\nran past {LIMIT} s\n".encode()
    word = {0: "pass", SKIP: "skip"}.get(code, "FAIL")
    lines = [f"{word}  {time.monotonic() - start:6.1f} s  {name}"]
    if word != "pass":
        lines += ["      " + line for line in output.decode(errors="replace").splitlines()[-60:]]
    print("\n".join(lines), flush=True)
    return word

def main():
    root, pattern = Path(__file__).resolve().parent.parent, re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    tests = [t for t in [*ctests(os.environ["PEFT_BUILD"]), *scripts(root)] if pattern.search(t[0])]
    with ThreadPoolExecutor(int(os.environ.get("PEFT_JOBS", "2"))) as pool:
        words = list(pool.map(lambda test: run(*test, root), tests))
    passed, failed, skipped = (words.count(w) for w in ("pass", "FAIL", "skip"))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if passed and not failed else 1

if __name__ == "__main__":
    sys.exit(main())
