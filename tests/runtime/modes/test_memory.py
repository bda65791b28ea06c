"""Memory: what is planned is what is there, a process grows by what is planned, and a step allocates nothing large after the first."""
import json
import os
import re
import subprocess
import unittest

import transformers
from compiled import BIN, LABELS, TrainerTest, tiny_bert

LENGTH, THREADS = 128, 2
SPEC = """use peft.methods.{lora}

model base = bert
task classify(labels = 3)
attach lora(r = %d) to layers[*].** where kind == linear
train head
optimize adamw(lr = 1e-3)
run { epochs = 1, batch = BATCH, max_length = 128, precision = PRECISION, shuffle = false }
"""
LONG, WINDOW = 8192, """use peft.methods.{lora}

model base = llama
task causal_lm
attach lora(r = %d) to layers[*].** where kind == linear
optimize adamw(lr = 1e-3)
run { epochs = 1, batch = 1, max_length = LENGTH, recompute = layers, shuffle = false }
"""
COUNTER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
static long large;
static void count(size_t size) { if (size >= 64 * 1024) __atomic_add_fetch(&large, 1, __ATOMIC_RELAXED); }
#define NEXT(type, name) static type next; if (!next) next = (type)dlsym(RTLD_NEXT, name)
void *malloc(size_t size) { typedef void *(*F)(size_t); NEXT(F, "malloc"); count(size); return next(size); }
void *aligned_alloc(size_t to, size_t size) { typedef void *(*F)(size_t, size_t); NEXT(F, "aligned_alloc"); count(size); return next(to, size); }
int posix_memalign(void **place, size_t to, size_t size) { typedef int (*F)(void **, size_t, size_t); NEXT(F, "posix_memalign"); count(size); return next(place, to, size); }
__attribute__((destructor)) static void tell(void) { FILE *file = fopen(getenv("COUNTED"), "w"); fprintf(file, "%ld", large); fclose(file); }
"""


class Memory(TrainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tiny_bert.make(cls.model, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024, max_position_embeddings=LENGTH)

    def compiled(self, batch, precision="fp32", also=""):
        spec = SPEC.replace("BATCH", str(batch)).replace("PRECISION", precision).replace("shuffle", f"{also}shuffle")
        return self.compile(f"trainer{batch}{precision}{'again' if also else ''}", spec=spec)

    def rows(self, count):
        with open(self.path("rows.jsonl"), "w") as file:
            for index in range(count):
                file.write(json.dumps({"input_ids": [2] + [10 + (index * 7 + place * 3) % 90 for place in range(LENGTH - 2)] + [3], "label": LABELS[index % 3]}) + "\n")
        return self.path("rows.jsonl")

    def memory(self, program, rows, steps, *options, env=None):
        out = self.path("run")
        words = [program, "train", "--data", rows, "--out", out, "--overwrite", "--limit-steps", str(steps), "--json", *options]
        return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True, env=env or self.environment).stdout)["memory"]

    def test_the_arena_is_what_the_plan_says(self):
        batch = 8
        program = self.compiled(batch)
        with open(os.path.join(self.path(f"trainer{batch}fp32.bundle"), "plan.json")) as file:
            plan = json.load(file)
        step = next(one for one in plan["programs"] if one["name"] == "train_step")
        tokens, squares = batch * LENGTH, batch * LENGTH**2
        bytes_of = [slot["c"] + slot["e"] * batch + slot["t"] * tokens + slot["q"] * squares + slot["p"] * THREADS for slot in step["slots"]]
        self.assertTrue(any(slot["p"] for slot in step["slots"]), "no value is a thread's own")
        self.assertEqual(self.memory(program, self.rows(batch), 1, "--threads", str(THREADS))["arena"], sum((size + 63) // 64 * 64 for size in bytes_of))

    def test_a_process_grows_by_what_is_planned(self):
        for precision in ("fp32", "bf16"):
            small, large = (self.memory(self.compiled(batch, precision), self.rows(batch * 2), 2) for batch in (8, 40))
            planned = sum(large[part] - small[part] for part in ("arena", "scratch", "panels"))
            measured = large["peak"] - small["peak"]
            print(f"{precision}: planned {planned >> 20} MiB more, measured {measured >> 20}", flush=True)
            self.assertGreater(planned, 100 << 20)
            self.assertLess(abs(measured - planned), 0.05 * planned)

    def test_layers_computed_again_are_the_same_in_less_memory(self):
        rows = self.rows(64)
        for precision in ("fp32", "bf16"):
            told = []
            for also in ("", "recompute = layers, "):
                told.append([self.memory(self.compiled(32, precision, also), rows, 2)])
                with open(self.path("run/metrics.jsonl")) as file:
                    told[-1].append(file.read())
            (kept, losses), (again, same) = told
            self.assertEqual(losses, same)
            self.assertIn('"step":2', losses)
            self.assertLess(again["arena"], 0.5 * kept["arena"])
            self.assertLess(again["peak"], kept["peak"] - 0.9 * (kept["arena"] - again["arena"]))

    def test_fewest_layers_that_fit_are_computed_again(self):
        def explained(also):
            with open(self.path("spec.peft"), "w") as file:
                file.write(SPEC.replace("BATCH", "16").replace("PRECISION", "fp32").replace("shuffle", f"{also}shuffle") % 8)
            words = [BIN + "/peftc", self.path("spec.peft"), "--model", self.model, "-o", self.path("explained"), "--explain", "memory"]
            text = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True).stdout
            value = {name: float(number) for name, number in re.findall(r"^ +(in all|of them saved) +([0-9.]+) MiB", text, re.M)}
            again = re.search(r"the first (\d+) layers are computed again", text)
            return value["in all"], value["of them saved"], int(again[1]) if again else 0

        whole, saved, none = explained("")
        # What the table says in all is what `memory` bounds, to the rounding of what is printed.
        self.assertEqual((none, explained(f"memory = {int((whole + 0.1) * 1024)}KiB, ")[2]), (0, 0))
        self.assertGreater(explained(f"memory = {int((whole - 0.1) * 1024)}KiB, ")[2], 0)
        least, less, every = explained("recompute = layers, ")
        self.assertEqual(every, 4)
        self.assertLess(less, saved)
        seen = {explained(f"memory = {size:.0f}MiB, ")[2] for size in (whole - 1, (whole + least) / 2, least + 8)}
        self.assertGreaterEqual(len(seen), 2)
        self.assertTrue(all(0 < layers <= 4 for layers in seen), seen)

    def test_a_text_of_8192_tokens(self):
        """Beside one of a quarter: attention's memory does not grow with its square."""
        model = self.path("llama")
        config = transformers.LlamaConfig(vocab_size=101, hidden_size=256, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=512, max_position_embeddings=LONG)
        transformers.LlamaForCausalLM(config).save_pretrained(model)
        uses = []
        for length in (LONG // 4, LONG):
            program = self.compile(f"long{length}", model=model, spec=WINDOW.replace("LENGTH", str(length)))
            with open(self.path("long.jsonl"), "w") as file:
                file.write(json.dumps({"input_ids": [(place * 7) % 90 + 3 for place in range(length)]}) + "\n")
            uses.append(self.memory(program, self.path("long.jsonl"), 1, "--threads", str(THREADS)))
        planned = sum(uses[1][part] - uses[0][part] for part in ("arena", "scratch", "panels"))
        measured = uses[1]["peak"] - uses[0]["peak"]
        print(f"8192 tokens: planned {planned >> 20} MiB more than for a quarter, measured {measured >> 20}", flush=True)
        self.assertGreater(planned, 30 << 20)
        self.assertLess(abs(measured - planned), 0.05 * planned)

    def test_no_large_allocation_in_a_step_after_the_first(self):
        with open(self.path("count.c"), "w") as file:
            file.write(COUNTER)
        library = self.path("count.so")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, self.path("count.c"), "-ldl"], check=True)
        env = dict(self.environment, LD_PRELOAD=library, COUNTED=self.path("counted"))
        for precision in ("fp32", "bf16"):
            program, rows, counts = self.compiled(8, precision), self.rows(96), []
            for steps in (2, 10):
                self.memory(program, rows, steps, env=env)
                with open(self.path("counted")) as file:
                    counts.append(int(file.read()))
            self.assertGreater(counts[0], 10) # the counter counts
            self.assertEqual(counts[1], counts[0], f"{precision}: 8 more steps took {counts[1] - counts[0]} more allocations of 64 KiB or more")


if __name__ == "__main__":
    unittest.main()
