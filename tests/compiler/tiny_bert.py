"""A tiny random BERT checkpoint, made by transformers: 2 layers, 24 wide, 3 heads, 36 in the ffn, 101 words."""
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def make(folder, with_head=False, **overrides):
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    torch.manual_seed(7)
    options = dict(vocab_size=101, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=36,
                   max_position_embeddings=160, type_vocab_size=2, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
    options.update(overrides)
    config = BertConfig(**options)
    model = (BertForSequenceClassification if with_head else BertModel)(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # biases and norms off their trivial values
            parameter.copy_(torch.randn_like(parameter) * (0.2 if parameter.dim() > 1 else 0.1) + (1.0 if "LayerNorm.weight" in name else 0.0))
    model.eval().save_pretrained(folder)
    return model
