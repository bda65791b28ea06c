#!/usr/bin/env python3
"""The laws with arguments, tasks, optimizers, schedules and combinations that no default reaches."""
import unittest

from laws import STDLIB, LawsTest, all_laws, with_library

# (What is used, the program's own lines.)
PROGRAMS = {
    "dropout and rank scaling": ("lora", "task classify(labels = 16)\nattach lora(dropout = 0.3, rs = true, alpha = 3) to layers[*].** where kind == linear\ntrain head"),
    "one site twice": ("lora, ia3", "task classify(labels = 5)\nattach lora(r = 2) to layers[*].attention.{q, v}\nattach ia3 to layers[*].attention.{q, k}\n"
                                    "attach lora(r = 3) to layers[*].attention.q\ntrain head"),
    "weight and output": ("dora, lora", "task regress\nattach dora(r = 4) to layers[*].ffn.{up, down}\nattach lora(r = 4) to layers[*].ffn.down\ntrain head"),
    "reparameterised prefix": ("prefix", "task classify(labels = 3)\nattach prefix(n = 3, hidden = 12, strength = 0.5) to layers[*].attention where kind == attention\ntrain head"),
    "activation by argument": ("serial_adapter, parallel_adapter", "task regress\nattach serial_adapter(reduction = 8, act = gelu, strength = 0.5) to layers[*].ffn\n"
                                                                  "attach parallel_adapter(k = 8, act = silu) to layers[*].attention where kind == sublayer\ntrain head"),
    "prompt and prefix": ("prompt, prefix", "task classify(labels = 3)\nattach prompt(n = 2) to model\nattach prefix(n = 2) to layers[1].attention where kind == attention\ntrain head"),
    "norms": ("bitfit", "task classify(labels = 3)\nattach bitfit to layers[0].** where kind == linear\ntrain layers[*].**.norm.{weight, bias}\ntrain head"),
    "the site again": ("lora", "method again on linear { shared param s: [max(in)] = ones; param t: [out] = zeros; y <- base(x * s[:in]) + t * y }\n"
                               "task classify(labels = 3)\nattach lora(r = 2) to layers[*].ffn.up\nattach again to layers[*].ffn.{up, down}\ntrain head"),
    "noise of a step": ("ia3", "method noisy on linear {\n  at_init changes(\"half of it is dropped\")\n  param a: [out] = ones\n  buffer n: [out] = constant(2)\n"
                               "  sample z ~ bernoulli(0.5, [out]) per step\n  y <- y * (a + 0.1 * n) * (if training then z else 0.5)\n"
                               "  loss += 0.01 * sum(rearrange(y * a, \"s o -> (s o)\") ** 2)\n}\n"
                               "task classify(labels = 3)\nattach noisy to layers[0].attention.q\nattach ia3 to layers[*].attention.k"),
    "one for the program": ("lora", "param P: [2, d] = normal(0, 0.3)\nmethod m(p) on linear { shared per layer param c: [2] = ones; param B: [out, 2] = zeros; y <- y + (c * (x @ p.T)) @ B.T }\n"
                                    "task classify(labels = 3)\nattach m(P) to layers[*].attention.{q, v}\nattach m(P) to layers[0].attention.k as other"),
    "a decoder": ("lora, prefix", "model base = llama\ntask causal_lm\nattach lora(r = 2, dropout = 0.2) to layers[*].** where kind == linear\n"
                                  "attach prefix(n = 2) to layers[1].attention where kind == attention"),
    "classes of a decoder": ("dora, prompt", "model base = llama\ntask classify(labels = 3)\nattach dora(r = 2) to layers[*].ffn.{gate, down}\nattach prompt(n = 2) to model\ntrain head"),
    "windows and ties": ("ia3, prompt", "model base = qwen2\ntask causal_lm\nattach ia3 to layers[*].attention.{k, v}\nattach prompt(n = 2) to model\ntrain tokens"),
    "a fused checkpoint": ("lora, serial_adapter", "model base = gpt2\ntask causal_lm\nattach lora(r = 2) to layers[*].attention.{q, v}\nattach serial_adapter(reduction = 8) to layers[1].ffn\n"
                                                   "train layers[0].attention.k"),
    "parts that merge": ("lora, ia3", "model base = phi3\ntask classify(labels = 3)\nattach lora(r = 2) to layers[*].ffn.{gate, up}\nattach ia3 to layers[*].attention.v\ntrain head"),
    "norms of heads": ("lora", "model base = qwen3\ntask causal_lm\nattach lora(r = 2) to layers[0].attention.{q, k}\ntrain layers[*].**.{q_norm, k_norm, norm}"),
    "norms counted from one": ("dora", "model base = gemma\ntask causal_lm\nattach dora(r = 2) to layers[*].attention.{q, o}\ntrain norm"),
    "patches of an image": ("lora, prompt", "model base = vit\ntask image_classify(labels = 3)\nattach lora(r = 2) to embeddings.projection, layers[*].** where kind == linear\n"
                                            "attach prompt(n = 2) to model\ntrain head"),
    "labels of words": ("lora, prompt, prefix", "model base = roberta\ntask token_classify(labels = 3)\nattach lora(r = 2) to layers[*].attention.{q, v}\n"
                                               "attach prompt(n = 2) to model\nattach prefix(n = 2) to layers[1].attention where kind == attention\ntrain head"),
    "another classifier": ("serial_adapter, lora", "model base = distilbert\ntask classify(labels = 3)\nattach serial_adapter(reduction = 8) to layers[*].ffn\nattach lora(r = 2) to head.dense\ntrain head"),
    "a number from another encoder": ("ia3", "model base = roberta\ntask regress\nattach ia3 to layers[*].attention.{k, v}\ntrain head, embeddings"),
    "labels of a decoder's words": ("lora", "model base = llama\ntask token_classify(labels = 4)\nattach lora(r = 2) to layers[*].** where kind == linear\ntrain head"),
    "a choice": ("lora, prompt", "model base = roberta\ntask multiple_choice(choices = 3)\nattach lora(r = 2) to layers[*].attention.{q, v}\nattach prompt(n = 2) to model\ntrain head"),
    "an answer to a text": ("lora, prefix, prompt", "model base = t5\ntask seq2seq\nattach lora(r = 2, dropout = 0.2) to encoder.layers[*].ffn.up, decoder.layers[*].cross.{q, k, v, o}\n"
                                                    "attach prefix(n = 2) to encoder.layers[1].attention, decoder.layers[*].{attention, cross} where kind == attention\nattach prompt(n = 2) to model"),
    "distances and an answer": ("dora, serial_adapter", "model base = t5\ntask seq2seq\nattach dora(r = 2) to encoder.layers[0].attention.o, decoder.layers[1].cross.k\n"
                                                        "attach serial_adapter(reduction = 8) to decoder.layers[*].cross\ntrain encoder.distance_bias, decoder.distance_bias, decoder.norm"),
    "adapters fused": ("adapter_fusion, serial_adapter", "task classify(labels = 3)\nattach adapter_fusion([serial_adapter(16), serial_adapter(8, act = gelu)]) to layers[*].ffn\ntrain head"),
    "updates gated": ("mole, lora", "task classify(labels = 3)\nattach mole([lora(2), lora(3)]) to layers[*].attention.{q, v}\ntrain head"),
    "a domain's expert": ("moa, lora", "task classify(labels = 3)\nattach moa([lora(2), lora(3)]) to layers[*].attention.{q, v}\ntrain head"),
    "experts mixed": ("moa, lora", "task classify(labels = 3)\nattach moa([lora(2), lora(3)], soft = true) to layers[*].ffn.{up, down}\ntrain head"),
    "heads by themselves": ("kernel_mix, aprompt", "model base = llama\ntask causal_lm\nattach kernel_mix(r = 2, output = true) to layers[*].attention where kind == attention\n"
                                                   "attach aprompt(n = 2, m = 3, r = 2, length = 5) to layers[*].attention where kind == attention"),
    "one vector for all": ("intrinsic_said", "task classify(labels = 3)\nattach intrinsic_said(n = 5, scaled = false) to layers[*].attention.{q, v}, layers[0].ffn.up\ntrain head"),
    "prototypes of tasks": ("pha", "task classify(labels = 3)\nattach pha(tasks = 3, reduction = 8, e = 6) to model\ntrain head"),
    "a residual Kronecker adapter": ("krona_adapter, krona", "task classify(labels = 3)\nattach krona_adapter(residual = true) to layers[*].ffn\nattach krona(rows = 4, columns = 8) to layers[*].attention.{q, v}\ntrain head"),
    "weights that adapt": ("hiwi", "task classify(labels = 3)\nattach hiwi(k = 4, weight = true) to layers[*].ffn.{up, down}\ntrain head"),
    "experts of a decoder": ("mixlora", "model base = llama\ntask classify(labels = 3)\nattach mixlora(silu, n = 3, r = 2) to layers[*].ffn\ntrain head"),
    "generators of each site": ("hyperformer, moelora", "task classify(labels = 3)\nattach hyperformer(tasks = 3, own = true) to layers[*].ffn\nattach moelora(tasks = 3) to layers[*].attention.{q, v}\ntrain head"),
    "norms of a decoder": ("ln_tuning, lora", "model base = llama\ntask causal_lm\nattach ln_tuning to layers[*].** where kind == norm\nattach lora(r = 2) to layers[*].attention.{q, v}"),
    "a prompt of three layers": ("p_tuning", "task classify(labels = 3)\nattach p_tuning(n = 3, hidden = 8, recurrent = false) to model\ntrain head"),
    "two passes": ("adamix, lora", "task classify(labels = 3)\nattach adamix(copies = 2, reduction = 8) to model\nattach lora(r = 2) to layers[*].attention.{q, v}\ntrain head"),
    "steps uphill": ("ptp_adversarial, lora", "task classify(labels = 3)\nattach ptp_adversarial(n = 2, radius = 0.5, step = 0.3, steps = 3) to model\nattach lora(r = 2, dropout = 0.2) to layers[*].attention.{q, v}\ntrain head"),
    "a gradient within a decoder": ("prompt", "method steep on sublayer { at_init changes(\"a gradient is added\"); param s: [d] = ones; let g = gradient(sum(tanh(u * s) * y), u); y <- if training then y + g * s else y }\n"
                                              "model base = llama\ntask causal_lm\nattach steep to layers[*].ffn\nattach prompt(n = 2) to model"),
    "a gradient that the network reads": ("lora", "/// Does not merge.\nmethod pushed on model { at_init changes(\"texts are moved\"); param s: [d] = ones; let text = embeds; let g = gradient(run(embeds = text * s).loss, text)\n"
                                                  "  embeds <- if training then embeds + 0.1 * s * g * rsqrt(sumsq(g) + 1e-30) else embeds * s }\n"
                                                  "task regress\nattach pushed to model\nattach lora(r = 2) to layers[*].** where kind == linear\ntrain head"),
    "a decoder's own attention": ("tiny_attn", "model base = llama\ntask causal_lm\nattach tiny_attn(masked = true) to layers[*].ffn"),
    "chosen rows": ("trainable_tokens, lora", "task classify(labels = 3)\nattach trainable_tokens([1, 5, 7]) to embeddings.tokens\nattach lora(r = 2) to layers[*].attention.{q, v}\ntrain head"),
    "chosen rows of both": ("trainable_tokens", "model base = qwen2\ntask causal_lm\nattach trainable_tokens([1, 5, 7]) to {tokens, lm_head}"),
    "chosen rows of each": ("trainable_tokens, ia3", "model base = llama\ntask causal_lm\nattach trainable_tokens([1, 5, 7]) to {tokens, lm_head}\nattach ia3 to layers[*].attention.k"),
    "everything": ("lora", "task classify(labels = 3)\ntrain layers[*]\ntrain embeddings\ntrain head"),
}
OPTIMIZE = ["adamw(lr = 1e-2)", "sgd(lr = 1e-2, momentum = 0.9, weight_decay = 0.1) {\n  schedule cosine(warmup = 20%)\n}",
            "adamw(lr = 1e-2) {\n  schedule linear(warmup = 10%)\n  group lr = 1e-3, weight_decay = 0 for head\n}"]


class Arguments(LawsTest):
    def test_other_arguments_and_combinations(self):
        paths = []
        for place, (name, (used, body)) in enumerate(PROGRAMS.items()):
            fitting = OPTIMIZE if "train head" in body else OPTIMIZE[:2] # the third speaks of a head
            text = f"use peft.methods.{{{used}}}\n{'' if 'model base' in body else 'model base = bert' + chr(10)}{body}\noptimize {fitting[place % len(fitting)]}\nrun {{ epochs = 2, batch = 2, max_length = 8, clip = 0.1 }}\n"
            paths.append(self.write(name.replace(" ", "_") + ".peft", text))
        for path, answer in all_laws(paths, "--stdlib", STDLIB).items():
            with open(path) as file:
                self.hold(path, answer, with_library(file.read()))


if __name__ == "__main__":
    unittest.main()
