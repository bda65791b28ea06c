"""Chosen rows of an embedding, beside Hugging Face peft: losses, gradients and steps; alone in a folder and in LoRA's, both ways; one row for the embedding and a head
that has its weight; merged folders. What those files cannot say is refused, and so is a choice that there is not."""
import json
import shutil

import torch
from peft import LoraConfig, TrainableTokensConfig, get_peft_model
from safetensors.torch import load_file, save_file
from decoders import MIXED, flat, merged_logits, random_checkpoint, randomise, rows_of, steps, theirs
from decoders import spec as decoder_spec
from subject import BIN, Subject, checkpoint, classifier, compare, main, padded, random_rows, refused, run
from test_interop import LLAMA, Bert, Llama, back, both_ways, imported, subject_of, there
from test_peft import LINEARS, check, lora, site
from test_peft import spec as bert_spec
from transformers import AutoModelForCausalLM, LlamaConfig

TOKENS = [7, 3, 55, 90]
WORDS, BOTH = f"attach trainable_tokens({TOKENS}) to embeddings.tokens", f"attach trainable_tokens({TOKENS}) to {{tokens, lm_head}}"
QUERIES = "\nattach lora(r = 4, alpha = 6) to layers[*].attention.{q, v}"


class Tied(Llama):
    def __init__(self, folder):
        self.folder = str(folder / "model")
        random_checkpoint(folder / "model", LlamaConfig(**LLAMA, tie_word_embeddings=True))
        self.rows = rows_of((7, 2, 31, 5))


def test_in_lora(folder):
    """Gradients and 20 steps of a classifier, the rows beside LoRA."""
    def rename(name):
        if "trainable_tokens_delta" in name:
            return "embeddings.tokens.trainable_tokens.rows"
        module, kind = name.split(".lora_")
        return f"{site(module)}.lora.{kind[0]}"
    attach = f"{WORDS}\nattach lora(r = 4, alpha = 6) to layers[*].** where kind == linear"
    return check(folder, bert_spec(attach, "trainable_tokens, lora"), lora(trainable_token_indices=TOKENS), rename)


def decoder(folder, attach, name, **options):
    """Gradients and 20 steps of a language model; `name`: of the rows."""
    model = random_checkpoint(folder / "model", LlamaConfig(**LLAMA, **options))
    peft_model = get_peft_model(model, TrainableTokensConfig(task_type="CAUSAL_LM", token_indices=TOKENS))
    parameters = {name: value for name, value in peft_model.named_parameters() if value.requires_grad}
    assert len(parameters) == 1, parameters.keys()
    randomise(parameters)
    ours = lambda tensors: {name: next(iter(tensors.values()))}  # noqa: E731
    subject = Subject(folder / "subject", folder / "model", decoder_spec(attach, "trainable_tokens"))
    init = subject.save_init(ours(parameters))
    text = steps(subject, peft_model, parameters, ours, init)
    rows = rows_of(MIXED)
    merged = merged_logits(folder, subject, init)
    return f"{text}, merged {compare(flat(subject.inspect(rows, init)), theirs(merged, rows)):.1e}"


def test_own_head(folder):
    return decoder(folder, f"attach trainable_tokens({TOKENS}) to tokens", "tokens.trainable_tokens.rows")


def test_tied_head(folder):
    """The head follows: one row in both places, and one merged weight."""
    text = decoder(folder, BOTH, "tokens.trainable_tokens.rows", tie_word_embeddings=True)
    assert json.loads((folder / "merged/config.json").read_text())["tie_word_embeddings"]
    alone = Subject(folder / "alone", folder / "model", decoder_spec(f"attach trainable_tokens({TOKENS}) to tokens", "trainable_tokens"))
    said = refused(alone.trainer, "merge", "--out", folder / "never")
    assert "`tokens.W` is also that of `lm_head`" in said, said
    return text


def test_folders(folder):
    config = TrainableTokensConfig(task_type="CAUSAL_LM", token_indices=TOKENS)
    beside = {"SEQ_CLS": LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules=["query", "value"], trainable_token_indices=TOKENS),
              "CAUSAL_LM": LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules=["q_proj", "v_proj"], trainable_token_indices=TOKENS)}
    found = [both_ways(folder / "own", Llama(folder / "own"), f"attach trainable_tokens({TOKENS}) to tokens", "trainable_tokens", config),
             both_ways(folder / "tied", Tied(folder / "tied"), BOTH, "trainable_tokens", config),
             both_ways(folder / "lora", Bert(folder / "lora"), WORDS + QUERIES, "trainable_tokens, lora", beside["SEQ_CLS"]),
             both_ways(folder / "both", Tied(folder / "both"), BOTH + QUERIES, "trainable_tokens, lora", beside["CAUSAL_LM"])]
    return ";  ".join(found)


def test_misfits(folder):
    """A folder of other tokens, one whose two copies of a row differ, and programs that those files cannot say."""
    network = Tied(folder)
    subject = subject_of(folder / "subject", network, BOTH, "trainable_tokens")
    get_peft_model(network.model(), TrainableTokensConfig(task_type="CAUSAL_LM", token_indices=TOKENS)).save_pretrained(folder / "theirs")
    said = ""

    def changed(name, config=None, tensors=None):
        shutil.copytree(folder / "theirs", folder / name)
        path = folder / name / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **(config or {})}))
        if tensors:
            path = folder / name / "adapter_model.safetensors"
            save_file(tensors(load_file(path)), path)
        return refused(subject.trainer, "import", folder / name, "--out", folder / "never")
    said = changed("others", dict(token_indices=[7, 3, 55, 91]))
    assert "`token_indices` is [7,3,55,91], the program's is [7,3,55,90]" in said, said
    said = changed("apart", None, lambda tensors: {key: value + (1 if "lm_head" in key else 0) for key, value in tensors.items()})
    assert "R0122" in said and "lm_head.trainable_tokens_delta" in said and "other numbers" in said, said
    assert not (folder / "never").exists()
    own = Llama(folder / "llama")
    for name, which, attach, methods, words in (("alone", network, f"attach trainable_tokens({TOKENS}) to tokens", "trainable_tokens", "the head has the weight of `tokens`"),
                                                ("each", own, BOTH, "trainable_tokens", "`lm_head` has rows of its own"),
                                                ("beside", network, f"attach trainable_tokens({TOKENS}) to tokens" + QUERIES, "trainable_tokens, lora", "the head has the weight of `tokens`"),
                                                ("other", own, f"attach trainable_tokens({TOKENS}) to tokens\nattach ia3 to layers[*].attention.k", "trainable_tokens, ia3", "`peft_type` is")):
        said = refused(subject_of(folder / name, which, attach, methods).trainer, "export", "--out", folder / "never")
        assert "R0123" in said and words in said, said
    return "6 refused"


def test_choices(folder):
    """Tokens that there are not, or twice."""
    model = checkpoint(folder / "model")
    for tokens, words in (("[3, 101]", "token 101 is none of the 101 that `embeddings.tokens` has"), ("[-1]", "token -1 is none of the 101"), ("[5, 3, 5]", "token 5 is chosen twice"),
                          ("[]", "no tokens are chosen"), ("5", "list"), ("[2.5]", "not a whole number")):
        path = folder / "spec.peft"
        path.write_text(bert_spec(f"attach trainable_tokens({tokens}) to embeddings.tokens", "trainable_tokens"))
        said = refused(BIN / "peftc", path, "--model", model, "-o", folder / "trainer")
        assert "error[E" in said and words in said, said
    return "6 refused"


def test_no_table(folder):
    """Neither the step nor a prediction forms a table of all words."""
    model = checkpoint(folder / "model")
    path = folder / "spec.peft"
    path.write_text(bert_spec(WORDS, "trainable_tokens"))
    text = run(BIN / "peftc", path, "--model", model, "--emit=nn")
    for name in ("train_step", "predict"):
        body = text.split(f"func.func @{name}(")[1].split("\n  func.func")[0]
        formed = [line for line in body.splitlines() if "-> !nn.tensor<[101, 24]" in line]
        assert not formed and "[seq, 4], f32" in body, formed


if __name__ == "__main__":
    main([test_in_lora, test_own_head, test_tied_head, test_folders, test_misfits, test_choices, test_no_table])
