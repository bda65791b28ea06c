"""What the tests of examples share: a command, and what it must come to."""
import subprocess


def run(*words, code=0):
    """What it prints; its exit status must be `code`."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=580)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
