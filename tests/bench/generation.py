"""transformers' side of `generate`: makes a random model, saves it, and continues prompts on request."""
import json
import pathlib
import resource
import sys
import time

import bench

SETTINGS = json.loads(sys.argv[1])


class Reference:
    def __init__(self):
        import torch
        import transformers
        self.torch = torch
        torch.set_num_threads(SETTINGS["threads"])
        torch.manual_seed(3)
        config = transformers.LlamaConfig(**SETTINGS["config"], max_position_embeddings=2048, eos_token_id=None, bos_token_id=None, pad_token_id=0)
        model = transformers.AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():  # larger than the usual start, so that the most probable token is clear
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(2)
        model.save_pretrained(SETTINGS["model"])
        self.model = model.to(torch.bfloat16) if SETTINGS["precision"] == "bf16" else model
        self.ready = {"vocabulary": config.vocab_size, "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}

    def generate(self, ids, new):
        with self.torch.no_grad():
            begun = time.perf_counter()
            out = self.model.generate(input_ids=ids, attention_mask=self.torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0)
            return out[:, ids.shape[1]:].tolist(), time.perf_counter() - begun

    def answer(self, question):
        ids = self.torch.tensor([json.loads(line)["input_ids"] for line in pathlib.Path(question["prompts"]).read_text().splitlines()])
        self.generate(ids, 2)
        _, first = self.generate(ids, 1)
        found, whole = self.generate(ids, question["new"])
        return {"ids": found, "speed": ids.shape[0] * (question["new"] - 1) / (whole - first), "prompts": ids.numel() / first,
                "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    reference = Reference()
    bench.serve(lambda: reference.ready, reference.answer)
