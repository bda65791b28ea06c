"""Logits of the base model with a task's head equal transformers', for texts of 1 to 128 tokens in one batch and one by one."""
from subject import Subject, checkpoint, classifier, compare, head_tensors, labels_of, main, padded, random_rows
import torch

SPEC = """model base = bert
task classify(labels = 5)
train head
optimize adamw(lr = 1e-3)
run { epochs = 1, batch = 4, max_length = 128, base_dropout = 0 }
"""


def rows_of_every_length():
    rows = random_rows(12, 5)
    for length in (1, 2, 3, 64, 127, 128):
        rows += random_rows(1, 5, lengths=(length, length), seed=length)
    return rows


def theirs(loaded, rows):
    loaded.eval()
    with torch.no_grad():
        out = loaded(**padded(rows), labels=labels_of(rows))
    return {"logits": out.logits, "loss": out.loss}


def check(folder, *options, rows=None):
    model = checkpoint(folder / "model")
    loaded = classifier(model)
    subject = Subject(folder / "subject", model, SPEC)
    init = subject.save_init(head_tensors(loaded))
    rows = rows or rows_of_every_length()
    worst = compare(subject.inspect(rows, init, *options), theirs(loaded, rows))
    return subject, init, loaded, rows, worst


def test_mixed_lengths(folder):
    return f"{check(folder)[4]:.1e}"


def test_one_by_one(folder):
    subject, init, loaded, rows, _ = check(folder)
    return f"{max(compare(subject.inspect([row], init), theirs(loaded, [row])) for row in rows[-7:]):.1e}"


def test_reference(folder):
    return f"{check(folder, '--reference', rows=random_rows(3, 5))[4]:.1e}"


if __name__ == "__main__":
    main([test_mixed_lengths, test_one_by_one, test_reference])
