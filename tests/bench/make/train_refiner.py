"""Makes an adapter that does not ship: a LoRA of the refiner, which has SmolLM2-135M-Instruct copy a passage without its defects.

    python tests/bench train_refiner --data DIR --model FOLDER --out FOLDER [--examples 1500] [--resume]

DIR holds `refine/` (or is it); of it only the sources under MIT and Apache-2.0 are used, and of these only what
refiner_task.py does not keep for measuring. `--model` is an mlx_lm model folder, as `anchorline model pull` makes
it. The same seed gives the same examples in the same order. Every `--save-every` steps the adapter and the
optimiser's state are written to `--out`, so that `--resume` continues there, and stopping early leaves an adapter.
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anchorline.engine import blas, loading
from bench.data.refiner_task import INSTRUCTION, Example, examples

PLACE = "\ue000"
RANK = 8
LAYERS = 16
"""The last ones: the gradient stops there, which saves a third of the time."""
KEYS = ("self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.down_proj")
SCALE = 10.0
PAD_TO = 16
STATE = "optimizer.safetensors"
PROGRESS = "progress.json"


def batches(encoded: list[tuple[list[int], int]], size: int, seed: int, skip: int) -> Iterator[list[int]]:
    """Yield batches of indices of about equal length for ever, in an order that the seed decides."""
    chance = random.Random(seed)
    done = 0
    while True:
        order = sorted(
            range(len(encoded)), key=lambda index: (len(encoded[index][0]) + chance.randrange(8), index)
        )
        groups = [order[at : at + size] for at in range(0, len(order) - size + 1, size)]
        chance.shuffle(groups)
        for group in groups:
            done += 1
            if done > skip:
                yield group


def encode(tokenizer: Any, made: list[Example]) -> list[tuple[list[int], int]]:
    """Return each example's tokens and how many of them are the draft's, on which no loss is taken.

    The turns are those of the model's own chat template, the draft's tokens its own, as at inference.
    """
    turns = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": PLACE}]
    rendered = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    before, after = [tokenizer.encode(part, add_special_tokens=False) for part in rendered.split(PLACE)]
    out = []
    for example in made:
        draft = tokenizer.encode(example.draft, add_special_tokens=False)
        clean = tokenizer.encode(example.clean, add_special_tokens=False)
        head = [*before, *draft, *after]
        out.append(([*head, *clean, tokenizer.eos_token_id], len(head)))
    return out


def train(arguments: argparse.Namespace) -> None:
    """Train from where `--out` stands."""
    blas.load()
    import mlx.core as mx
    import mlx.optimizers as optim
    import numpy as np
    from mlx import nn
    from mlx.utils import tree_flatten, tree_unflatten
    from mlx_lm.tuner.callbacks import TrainingCallback
    from mlx_lm.tuner.trainer import TrainingArgs
    from mlx_lm.tuner.trainer import train as fit
    from mlx_lm.tuner.utils import linear_to_lora_layers

    folder = arguments.data / "refine" if (arguments.data / "refine").is_dir() else arguments.data
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    mx.random.seed(arguments.seed)
    mx.disable_compile()  # on a CPU every new shape would wait for a C++ compiler
    model, tokenizer, _ = loading.load(arguments.model)
    model.freeze()
    lora = {"rank": RANK, "scale": SCALE, "dropout": 0.0, "keys": list(KEYS)}
    linear_to_lora_layers(model, LAYERS, lora)
    config = {"fine_tune_type": "lora", "num_layers": LAYERS, "lora_parameters": lora}
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")

    made = examples(folder, seed=arguments.seed, count=arguments.examples)
    apart = examples(folder, seed=arguments.seed, count=arguments.held_out, measuring=True)
    training, held_out = encode(tokenizer, made), encode(tokenizer, apart)
    tokens = sum(len(ids) for ids, _ in training)
    steps = arguments.examples // arguments.batch
    print(f"{len(training)} examples, {tokens} tokens, {steps} steps, held out {len(held_out)}", flush=True)

    done, warm_up = 0, max(1, steps // 12)
    schedule = optim.join_schedules(
        [
            optim.linear_schedule(0.0, arguments.rate, warm_up),
            optim.linear_schedule(arguments.rate, arguments.rate / 20, steps - warm_up),
        ],
        [warm_up],
    )
    optimizer = optim.Adam(learning_rate=schedule)
    if arguments.resume and (out / PROGRESS).is_file():
        done = json.loads((out / PROGRESS).read_text("utf-8"))["steps"]
        model.load_weights(str(out / "adapters.safetensors"), strict=False)
        optimizer.init(model.trainable_parameters())
        optimizer.state = tree_unflatten(list(mx.load(str(out / STATE)).items()))

    vocabulary = sorted({token for ids, _ in [*training, *held_out] for token in ids})
    place = {token: index for index, token in enumerate(vocabulary)}
    rows_of_head = model.model.embed_tokens.weight[mx.array(vocabulary)]
    mx.eval(rows_of_head)

    def feed(dataset: Any, batch_size: int, *_: Any, loop: bool = False, **__: Any) -> Iterator[Any]:
        order = batches(dataset, batch_size, arguments.seed, done if loop else 0)
        for count, group in enumerate(order):
            if not loop and (count + 1) * batch_size > len(dataset):
                return
            rows = [dataset[index] for index in group]
            width = PAD_TO * -(-max(len(ids) for ids, _ in rows) // PAD_TO)
            padded = np.zeros((len(rows), width), np.int32)
            answers = []
            for row, (ids, start) in enumerate(rows):
                padded[row, : len(ids)] = ids
                answers += [(row * width + at - 1, place[ids[at]]) for at in range(start, len(ids))]
            weights = np.zeros(PAD_TO * -(-len(answers) // PAD_TO), np.float32)
            weights[: len(answers)] = 1
            answers += [(0, 0)] * (len(weights) - len(answers))
            yield mx.array(padded), mx.array(answers), mx.array(weights)

    def loss(model: Any, padded: Any, answers: Any, weights: Any) -> Any:
        """Return the mean cross-entropy of the answers' tokens among those that the examples use.

        All other 40 000 tokens would take most of the time and are improbable as it is.
        """
        hidden = model.model(padded)
        hidden = hidden.reshape(-1, hidden.shape[-1])[answers[:, 0]]
        wrong = nn.losses.cross_entropy(hidden @ rows_of_head.T, answers[:, 1]) * weights
        return wrong.sum() / weights.sum(), weights.sum()

    class Save(TrainingCallback):  # type: ignore[misc]
        def on_train_loss_report(self, info: dict[str, Any]) -> None:
            reached = done + info["iteration"]
            if reached % arguments.save_every and reached != steps:
                return
            mx.save_safetensors(
                str(out / "adapters.safetensors"), dict(tree_flatten(model.trainable_parameters()))
            )
            mx.save_safetensors(str(out / STATE), dict(tree_flatten(optimizer.state)))
            (out / PROGRESS).write_text(json.dumps({"steps": reached, "of": steps, **info}) + "\n", "utf-8")

    fit(
        model,
        optimizer,
        training,
        held_out,
        TrainingArgs(
            batch_size=arguments.batch,
            iters=steps - done,
            val_batches=-1,
            steps_per_report=5,
            steps_per_eval=100,
            steps_per_save=10**9,
            adapter_file=str(out / "adapters.safetensors"),
        ),
        loss=loss,
        iterate_batches=feed,
        training_callback=Save(),
    )


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=1500)
    parser.add_argument("--held-out", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=4e-4, help="Adam's peak learning rate")
    parser.add_argument("--save-every", type=int, default=25)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--resume", action="store_true")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
