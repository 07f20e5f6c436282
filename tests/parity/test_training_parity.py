"""Twenty optimizer steps beside PyTorch: same data, AdamW, clipping and schedule, no dropout."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from xt_jax import model as models
from xt_jax.data.order import step_order
from xt_jax.data.packing import plan_training
from xt_jax.data.sources import open_source
from xt_jax.model.sharding import make_mesh, place_batch, place_params
from xt_jax.tasks import pairs, recipes
from xt_jax.tasks.table import NLI
from xt_jax.train.batches import TrainedTask, batch_stream
from xt_jax.train.optim import make_optimizer
from xt_jax.train.step import StepSpec, compile_step, init_state

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")

STEPS = 20
RELATIVE = 1e-4
RECIPE = dataclasses.replace(
    recipes.NLI, learning_rate=5e-4, batch_size=16, epochs=1, max_length=64, weight_decay=0.05
)


@pytest.fixture
def hf_model(tmp_path, mini_tokenizer):
    """A small random XLM-R classifier of transformers, and the folder it was saved in."""
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=len(mini_tokenizer),
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=1,
        initializer_range=0.1,
        num_labels=3,
    )
    model = XLMRobertaForSequenceClassification(config).eval()  # no dropout
    model.save_pretrained(tmp_path / "hf")
    return model, tmp_path / "hf"


def torch_losses(model, features, order) -> list[float]:
    from transformers import get_linear_schedule_with_warmup

    plain = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    decayed = [
        p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)
    ]
    groups = [
        {"params": decayed, "weight_decay": RECIPE.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RECIPE.learning_rate, eps=RECIPE.adam_eps)
    warmup = int(np.ceil(RECIPE.warmup_ratio * STEPS))
    schedule = get_linear_schedule_with_warmup(optimizer, warmup, STEPS)
    losses = []
    for step in order:
        rows = [features.take(np.array([i])).tokens["input_ids"] for i in step]
        longest = max(map(len, rows))
        ids = np.full((len(rows), longest), 1)
        for row, tokens in zip(ids, rows, strict=True):
            row[: len(tokens)] = tokens
        ids = torch.tensor(ids)
        labels = torch.tensor(features.fields["label"][step]).long()
        loss = model(input_ids=ids, attention_mask=(ids != 1).long(), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), RECIPE.clip_norm)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("packing", [True, False])
def test_twenty_steps_follow_pytorch(hf_model, world, mini_tokenizer, packing):
    theirs, folder = hf_model
    examples = open_source("files", str(world)).find("mnli", "train", "en")[0].read(NLI)
    examples = examples[: STEPS * RECIPE.batch_size]
    features = pairs.tokenize(examples, mini_tokenizer, NLI, max_length=RECIPE.max_length)
    order = step_order(features.lengths, RECIPE.batch_size, 1, 0)
    plan = plan_training(features.lengths, RECIPE.batch_size, 1, 0, packing=packing)
    assert plan.steps == STEPS

    mesh = make_mesh(devices=jax.devices()[:1])
    ours, _ = models.load_model(folder)
    graphdef, params = nnx.split(ours)
    optimizer = make_optimizer(RECIPE, STEPS)
    spec = StepSpec(graphdef, pairs.loss, optimizer, clip_norm=RECIPE.clip_norm, dropout=False)
    losses, norms = [], []
    with jax.default_matmul_precision("highest"):
        state = init_state(place_params(params, mesh, "replicated"), spec.optimizer, mesh, [0])
        step_fn = compile_step(spec, state)
        stream = TrainedTask("pairs", spec, (plan,), features)
        for batch in batch_stream([stream], np.zeros(plan.steps, np.int32), 1, mesh):
            state, sums = step_fn(state, place_batch(batch, mesh))
            losses.append(float(sums["loss"][0] / sums["loss"][1]))
            norms.append(float(sums["grad_norm"][0]))
    expected = torch_losses(theirs, features, order)
    np.testing.assert_allclose(losses, expected, rtol=RELATIVE)
    assert max(norms) > RECIPE.clip_norm  # clipping was at work
    assert len(set(losses)) == STEPS
