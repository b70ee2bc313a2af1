"""Writes the golden files of tests/nn with PyTorch: golden/nn_*.txt.

    python tests/golden/make_golden_nn.py

The format is that of make_golden.py; the versions that made the files stand in
golden/VERSIONS.txt.
"""

import torch
import torch.nn.functional as F

from make_golden import OUT, Golden


def activations():
    torch.manual_seed(11)
    golden = Golden("nn_activations_f32")
    x = torch.cat([torch.randn(40) * 2, torch.tensor(
        [0.0, -0.0, 1e-8, -1e-8, 1e-3, -1e-3, 5.0, -5.0, 9.0, -9.0, 14.0, -14.0, 100.0, -100.0])])
    x = x.reshape(2, 27)
    dy = torch.randn(2, 27)
    golden.add("x", x)
    golden.add("dy", dy)
    functions = {
        "gelu": F.gelu,
        "gelu_tanh": lambda v: F.gelu(v, approximate="tanh"),
        "tanh": torch.tanh,
    }
    for name, function in functions.items():
        v = x.clone().requires_grad_()
        y = function(v)
        y.backward(dy)
        golden.add(f"{name}_y", y)
        golden.add(f"{name}_dx", v.grad)
    golden.write()


def layer_norm():
    torch.manual_seed(12)
    golden = Golden("nn_layer_norm_f32")
    x = (torch.randn(5, 37) * 3 + 2).requires_grad_()
    gamma = (1 + 0.5 * torch.randn(37)).requires_grad_()
    beta = torch.randn(37).requires_grad_()
    dy = torch.randn(5, 37)
    y = F.layer_norm(x, (37,), gamma, beta, eps=1e-12)
    y.backward(dy)
    for name, tensor in (("x", x), ("gamma", gamma), ("beta", beta), ("dy", dy), ("y", y),
                         ("dx", x.grad), ("dgamma", gamma.grad), ("dbeta", beta.grad)):
        golden.add(name, tensor)
    golden.write()


def attention():
    """Padding is hidden from every query; its own rows of dy are zero, as a loss leaves them."""
    torch.manual_seed(13)
    golden = Golden("nn_attention_f32")
    batch, length, heads, features = 3, 6, 4, 3
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [0, 1, 0, 1, 1, 0]])
    golden.add("mask", mask)
    for name, kv_heads, causal in (("plain", heads, False), ("causal", heads, True),
                                   ("grouped", 2, False)):
        def make(count):
            return (1.5 * torch.randn(batch, length, count, features)).requires_grad_()

        q, k, v = make(heads), make(kv_heads), make(kv_heads)
        sees = mask.bool()[:, None, None, :].expand(batch, 1, length, length)
        if causal:
            # A row of padding must see something, or it is NaN.
            sees = sees & torch.ones(length, length).tril().bool() | torch.eye(length).bool()
        y = F.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=sees,
            enable_gqa=kv_heads != heads).transpose(1, 2)
        dy = torch.randn_like(y) * mask[:, :, None, None]
        y.backward(dy)
        for what, tensor in (("q", q), ("k", k), ("v", v), ("dy", dy),
                             ("y", y * mask[:, :, None, None]), ("dq", q.grad), ("dk", k.grad),
                             ("dv", v.grad)):
            golden.add(f"{name}_{what}", tensor.reshape(batch * length, -1))
    golden.write()


def embedding():
    torch.manual_seed(14)
    golden = Golden("nn_embedding_f32")
    tables = [torch.randn(rows, 5).requires_grad_() for rows in (11, 6, 2)]
    ids = [torch.tensor([3, 0, 10, 3, 7, 3, 1]), torch.tensor([0, 1, 2, 3, 0, 1, 5]),
           torch.tensor([0, 0, 1, 1, 0, 0, 1])]
    y = sum(F.embedding(i, table) for i, table in zip(ids, tables))
    dy = torch.randn(7, 5)
    y.backward(dy)
    for n, (table, i) in enumerate(zip(tables, ids)):
        golden.add(f"table{n}", table)
        golden.add(f"ids{n}", i)
        golden.add(f"dtable{n}", table.grad)
    golden.add("y", y)
    golden.add("dy", dy)
    golden.write()


def pooling():
    """Mean pooling as in sentence-transformers, and the first token as in BERT's pooler."""
    torch.manual_seed(15)
    golden = Golden("nn_pooling_f32")
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]])
    x = torch.randn(3, 4, 5).requires_grad_()
    m = mask.unsqueeze(-1).float()
    y = (x * m).sum(1) / m.sum(1).clamp(min=1e-9)
    dy = torch.randn(3, 5)
    y.backward(dy)
    for name, tensor in (("mask", mask), ("x", x.reshape(12, 5)), ("y", y), ("dy", dy),
                         ("dx", x.grad.reshape(12, 5))):
        golden.add(name, tensor)
    golden.write()


def cross_entropy():
    torch.manual_seed(16)
    golden = Golden("nn_cross_entropy_f32")
    x = torch.randn(9, 6) * 4
    labels = torch.tensor([0, -100, 3, 3, 1, 2, -100, 0, 5])
    weights = torch.tensor([1.0, 0.2, 3.0, 0.0, 2.5, 0.7])
    golden.add("logits", x)
    golden.add("labels", labels)
    golden.add("weights", weights)
    golden.add("labels_3", torch.where(labels == -100, 4, labels))
    for name, options in {
        "plain": {},
        "weights": {"weight": weights},
        "smooth": {"label_smoothing": 0.1},
        "all": {"weight": weights, "label_smoothing": 0.3},
        "sum": {"weight": weights, "label_smoothing": 0.3, "reduction": "sum"},
        "ignore_3": {"weight": weights, "label_smoothing": 0.3, "ignore_index": 3},
    }.items():
        logits = x.clone().requires_grad_()
        target = torch.where(labels == -100, 4, labels) if name == "ignore_3" else labels
        loss = F.cross_entropy(logits, target, **options)
        loss.backward()
        golden.add(f"{name}_loss", loss)
        golden.add(f"{name}_gradient", logits.grad)
    golden.write()


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    activations()
    layer_norm()
    attention()
    embedding()
    pooling()
    cross_entropy()
