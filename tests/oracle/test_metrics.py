"""Metrics that are made of all rows equal scikit-learn's and scipy's, on random predictions with ties, classes that never occur, and columns that never change; and
a user's own metric of all rows. The network is a table: a row's logits are those of its first token (a word's those of its own)."""
import json

import numpy
import scipy.stats
import sklearn.metrics
import torch
from safetensors.torch import save_file
from subject import BIN, Subject, main, refused, run, write_rows

ENTRIES, WIDTH = 60, 7
ARCH = """arch table(cfg: config): model {
  checkpoint { model_type = "table", vocab_size = cfg.vocab_size }
  dim d = cfg.width
  entries: embedding(cfg.vocab_size, d) @ "entries"
  input ids: [seq] int
  embeds = entries(ids)
  positions = index(embeds, axis = 0)
  hidden = embeds
  head_token = 0
  module sequence_head(outputs: dim) {
    input x: [d]
    y = x[:outputs]
  }
  module token_head(outputs: dim) {
    input x: [seq, d]
    y = x[:, :outputs]
  }
}

model base = table
"""
RUN = "\ntrain entries\noptimize adamw(lr = 1e-3)\nrun { epochs = 1, batch = 16, max_length = 12 }\n"


def subject_of(folder, task, table):
    model = folder / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps({"model_type": "table", "width": table.shape[1], "vocab_size": table.shape[0]}))
    save_file({"entries.weight": table}, model / "model.safetensors")
    return Subject(folder / "subject", model, ARCH + task + RUN)


def report_of(subject, rows, *options):
    return json.loads(run(subject.trainer, "eval", "--data", write_rows(subject.folder / "rows.jsonl", rows), "--json", *options))


def close(report, expected, tolerance=1e-5):
    for name, value in expected.items():
        assert abs(report[name] - value) <= tolerance * max(abs(value), 1), f"{name}: {report[name]}, not {value}"


def table_of(seed, ties=False):
    table = torch.randn(ENTRIES, WIDTH, generator=torch.Generator().manual_seed(seed))
    return (table * 2).round() / 2 if ties else table


def test_classes(folder):
    """Each as the plan computes it and, of some rows, as the reference does."""
    table, random = table_of(1), numpy.random.default_rng(2)
    subject = subject_of(folder, f"task classify(labels = {WIDTH})", table)
    cases = {"all classes": (range(WIDTH), range(ENTRIES)), "some are never meant": ((0, 2, 5), range(ENTRIES)), "one is meant": ((4,), range(ENTRIES)), "one is said": (range(WIDTH), (3,)),
             "nothing else": ((int(table[3].argmax()),), (3,))}
    for name, (meant, said) in cases.items():
        first, target = random.choice(list(said), 501), random.choice(list(meant), 501)
        rows = [{"input_ids": [int(place), *random.integers(0, ENTRIES, random.integers(0, 9)).tolist()], "label": int(label)} for place, label in zip(first, target)]
        predicted = table[torch.tensor(first), :].argmax(1).numpy()
        for count, options in ((501, ()), (9, ("--reference",))):
            report = report_of(subject, rows[:count], *options)
            close(report, {"accuracy": (predicted[:count] == target[:count]).mean(), "macro_f1": sklearn.metrics.f1_score(target[:count], predicted[:count], average="macro"),
                           "matthews": sklearn.metrics.matthews_corrcoef(target[:count], predicted[:count])})
    # Two classes, one of them rare: nothing is lost in differences of large numbers.
    target = numpy.zeros(20000, int)
    target[:3] = 1
    said = [int(table[:, 0].argmax()), int(table[:, 1].argmax())]
    assert table[said[0]].argmax() == 0 and table[said[1]].argmax() == 1
    predicted = numpy.roll(target, 1)
    close(report_of(subject, [{"input_ids": [said[p]], "label": int(t)} for p, t in zip(predicted, target)]), {"matthews": sklearn.metrics.matthews_corrcoef(target, predicted)})
    return f"{len(cases)} cases"


def test_numbers(folder):
    found = []
    for name, ties, shift in (("distinct", False, 0.0), ("ties", True, 0.0), ("far from zero", False, 1000.0)):
        table, random = table_of(3, ties) + shift, numpy.random.default_rng(4)
        subject = subject_of(folder / name.replace(" ", "_"), "task regress", table)
        first = random.integers(0, ENTRIES, 700)
        said = table[torch.tensor(first), 0].double().numpy()
        target = (said + random.normal(0, 1, 700)).astype(numpy.float32).astype(float)
        if ties:
            target = target.round()
        rows = [{"input_ids": [int(place)], "label": float(label)} for place, label in zip(first, target)]
        for count, options in ((700, ()), (11, ("--reference",))):
            report = report_of(subject, rows[:count], *options)
            close(report, {"pearson": scipy.stats.pearsonr(said[:count], target[:count]).statistic, "spearman": scipy.stats.spearmanr(said[:count], target[:count]).statistic}, 1e-4)
        found.append(report["spearman"])
        still = report_of(subject, [{"input_ids": [1], "label": float(label)} for label in target])  # scipy gives none; 0 is said of it
        assert still["pearson"] == still["spearman"] == 0, still
    return found


def test_words(folder):
    table, random = table_of(5), numpy.random.default_rng(6)
    subject = subject_of(folder, f"task token_classify(labels = {WIDTH})", table)
    rows, predicted, target, whole = [], [], [], []
    for _ in range(200):
        ids, labels = random.integers(0, ENTRIES, 1 + random.integers(0, 12)), random.choice([-100, 0, 1, 1, 1, 4, 6], 12)
        labels[0] = 1
        labels = labels[:len(ids)]
        rows.append({"input_ids": ids.tolist(), "labels": labels.tolist()})
        predicted += table[torch.tensor(ids)].argmax(1).numpy()[labels >= 0].tolist()
        target += labels[labels >= 0].tolist()
        whole.append(predicted[-(labels >= 0).sum():] == target[-(labels >= 0).sum():])
    assert 0 < sum(whole) < len(rows)
    expected = {"exact_match": sum(whole) / len(rows), "token_accuracy": sklearn.metrics.accuracy_score(target, predicted), "token_f1": sklearn.metrics.f1_score(target, predicted, average="macro")}
    close(report_of(subject, rows), expected)
    close(report_of(subject, rows, "--set", "run.batch=1"), expected)
    return f"f1 {expected['token_f1']:.3f}"


OWN = """use peft.tasks.metrics.{{pearson}}
task own on model {{
  row ids: tokens("text")
  row target: number("label")
  logits = hidden[0][:2]
  loss = (logits[0] - target) ** 2
  {metric}
}}
task own"""


def test_own_metric(folder):
    """A library's function, `total` beside `all_rows`, several numbers a row; and `run.best` by its name."""
    table = table_of(7)
    metrics = ("metric together = pearson(all_rows(logits)[:, 0], all_rows(logits)[:, 1])\n  metric most = max(all_rows(target)) - total(target) / total(1 + 0 * target)\n"
               "  metric length = max(real(all_rows(ids)))\n"
               "  metric order = sum(real(order(-floor(all_rows(target) / 2)) * index(all_rows(target), axis = 0)))")
    subject = subject_of(folder, OWN.format(metric=metrics), table)
    ids = [[5, 3, 9], [7], [11, 2], [1, 1, 50]]
    rows = [{"input_ids": row, "label": place * 1.5} for place, row in enumerate(ids)]
    said = table[torch.tensor([row[0] for row in ids]), :2].double().numpy()
    # Of 0, 0, -1, -2 the order is 3, 2, 0, 1: equal entries stay as they stand.
    expected = {"together": scipy.stats.pearsonr(said[:, 0], said[:, 1]).statistic, "most": 4.5 - 2.25, "length": 50, "order": 2 * 1 + 0 * 2 + 1 * 3}
    close(report_of(subject, rows), expected)
    close(report_of(subject, rows, "--reference"), expected)
    data = subject.folder / "rows.jsonl"
    run(subject.trainer, "train", "--data", data, "--valid", data, "--out", folder / "run", "--set", "run.best=together:max", "--epochs", "2")
    lines = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    assert any("together" in json.dumps(line) for line in lines), lines
    said = refused(subject.trainer, "train", "--data", data, "--out", folder / "other", "--set", "run.best=nearness:max")
    assert "R0150" in said and "together" in said, said


def test_refused(folder):
    subject = subject_of(folder, "task regress", table_of(8))
    for metric, words in (("metric m = all_rows(target)", "a metric is one number"), ("metric m = sum(all_rows(target)) + target", "a metric is one number a row, or made of"),
                          ("metric m = sum(all_rows(target) * real(all_rows(ids)))", "as many entries a row"), ("metric m = sum(all_rows(1))", "whatever the rows are"),
                          ("let m = all_rows(target)", "only a metric sees"), ("metric m = max(ranks(1))", "`ranks` of a single number"), ("metric m = max(order(1))", "`order` of a single number"),
                          ("metric m = sum(ranks(all_rows(target), axis = 1))", "axis 1"), ("metric m = 1 + 1", "whatever the rows are")):
        (folder / "spec.peft").write_text(ARCH + OWN.format(metric=metric) + RUN)
        said = refused(BIN / "peftc", folder / "spec.peft", "--model", folder / "model", "-o", folder / "trainer")
        assert "E0350" in said and words in said, f"{metric}: {said}"


if __name__ == "__main__":
    main([test_classes, test_numbers, test_words, test_own_metric, test_refused])
