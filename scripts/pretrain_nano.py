"""Pretrain the built-in base model `nano-v1` from nothing, reproducibly by seed.

    python scripts/pretrain_nano.py --data DIR --out shared/slm_ml/builtin/nano-v1 --minutes 40

DIR holds `tinyshakespeare.txt` (public domain), `gsm8k_train.jsonl` (MIT) and `clinc150_full.json` (CC BY 3.0). A
byte-level BPE tokenizer is trained on that text, then a Llama of under 3 million parameters on packed windows of it,
under bf16 autocast. The learning rate follows the share of the time budget that is used up, so the run ends well on any
machine; `--tokens` instead of `--minutes` makes it the same everywhere. The folder gets weights in fp16, tokenizer,
chat template, `training.json` with every setting and measured loss, and the card that tells them.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

END, USER, ASSISTANT, SYSTEM, PAD = "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|pad|>"
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "<|assistant|>{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{%- else -%}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


@dataclass(frozen=True)
class Settings:
    """Everything that decides the outcome; lengths in tokens."""

    seed: int = 7
    vocab_size: int = 4096
    hidden_size: int = 192
    layers: int = 5
    heads: int = 6
    intermediate_size: int = 448
    context: int = 512
    window: int = 256
    batch_windows: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    warmup_share: float = 0.02
    validation_share: float = 0.02


def documents(folder: Path, rng: random.Random) -> list[str]:
    """The training texts, shuffled: speeches, intents' queries, and problems both as prose and as a conversation."""
    texts = [part for part in (folder / "tinyshakespeare.txt").read_text().split("\n\n") if part.strip()]
    texts = ["\n\n".join(texts[start : start + 6]) + END for start in range(0, len(texts), 6)]
    for line in (folder / "gsm8k_train.jsonl").read_text().splitlines():
        row = json.loads(line)
        texts.append(f"{USER}{row['question']}{END}{ASSISTANT}{row['answer']}{END}")
    queries = json.loads((folder / "clinc150_full.json").read_text())
    for split in sorted(queries):
        for query, intent in queries[split]:
            texts.append(f"{USER}{query}{END}{ASSISTANT}{intent.replace('_', ' ')}{END}")
    rng.shuffle(texts)
    return texts


def train_tokenizer(texts: list[str], settings: Settings) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with the chat's special tokens and template."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        special_tokens=[PAD, END, USER, ASSISTANT, SYSTEM],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers and torch leave it without types
        tokenizer_object=core,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM],
        model_max_length=settings.context,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def pack(texts: list[str], tokenizer: PreTrainedTokenizerFast, window: int) -> torch.Tensor:
    """All texts as one stream of tokens, cut into windows: an int64 tensor (windows, window)."""
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    stream = torch.tensor([token for ids in encoded for token in ids])
    return stream[: len(stream) // window * window].view(-1, window)


def new_model(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama with random weights, decided by the seed."""
    torch.manual_seed(settings.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.hidden_size,
            intermediate_size=settings.intermediate_size,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            num_key_value_heads=settings.heads,
            max_position_embeddings=settings.context,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


@torch.no_grad()
def validation_loss(model: LlamaForCausalLM, windows: torch.Tensor) -> float:
    """Mean cross-entropy in nats per token, in fp32."""
    model.eval()  # type: ignore[no-untyped-call]  # transformers and torch leave it without types
    device = model.device
    losses = [float(model(input_ids=part.to(device), labels=part.to(device)).loss) for part in windows.split(16)]  # type: ignore[no-untyped-call]  # transformers and torch leave it without types
    model.train()
    return sum(losses) / len(losses)


def batches(windows: torch.Tensor, size: int, rng: random.Random) -> Iterator[torch.Tensor]:
    """Endless batches (size, window); each epoch visits every window once, in a new order."""
    while True:
        order = list(range(len(windows)))
        rng.shuffle(order)
        for start in range(0, len(order) - size + 1, size):
            yield windows[order[start : start + size]]


def schedule(share: float, settings: Settings) -> float:
    """The learning rate after `share` of the budget: linear warm-up, then cosine to a tenth."""
    if share < settings.warmup_share:
        return settings.learning_rate * share / settings.warmup_share
    decay = (share - settings.warmup_share) / (1 - settings.warmup_share)
    return settings.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, decay))))


@dataclass
class Pretraining:
    """One pretraining run: what it works on and how far it has come."""

    settings: Settings
    tokenizer: PreTrainedTokenizerFast
    training: torch.Tensor
    validation: torch.Tensor
    out: Path
    budget_s: float
    budget_tokens: int | None

    def run(self) -> None:
        """Train to the end of the budget, saving on the way."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = new_model(self.settings, self.tokenizer).to(device)  # type: ignore[arg-type]  # their decorator hides the type of self
        random_loss = validation_loss(model, self.validation)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=1.0, betas=(0.9, 0.95), weight_decay=self.settings.weight_decay
        )
        started, tokens, steps, saved_at = time.monotonic(), 0, 0, time.monotonic()
        for batch in batches(self.training, self.settings.batch_windows, random.Random(self.settings.seed)):
            share = self._share(started, tokens)
            if share >= 1:
                break
            loss = self._step(model, optimizer, batch.to(device), schedule(share, self.settings))
            tokens += batch.numel()
            steps += 1
            if steps % 100 == 0:
                rate = tokens / (time.monotonic() - started)
                print(f"{share:6.1%}  step {steps}  loss {loss:.4f}  {rate:,.0f} tokens/s", flush=True)  # noqa: T201
            if time.monotonic() - saved_at > 300:
                self.save(model, random_loss, tokens, steps, time.monotonic() - started)
                saved_at = time.monotonic()
        self.save(model, random_loss, tokens, steps, time.monotonic() - started)

    def _share(self, started: float, tokens: int) -> float:
        if self.budget_tokens is not None:
            return tokens / self.budget_tokens
        return (time.monotonic() - started) / self.budget_s

    def _step(
        self, model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, batch: torch.Tensor, learning_rate: float
    ) -> float:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        with torch.autocast(batch.device.type, torch.bfloat16):
            loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def save(self, model: LlamaForCausalLM, random_loss: float, tokens: int, steps: int, seconds: float) -> None:
        """Write the model folder with the losses measured on the rounded weights that are shipped."""
        self.out.mkdir(parents=True, exist_ok=True)
        shipped = LlamaForCausalLM(model.config).half()  # type: ignore[no-untyped-call]  # transformers and torch leave it without types
        shipped.load_state_dict({name: value.half().cpu() for name, value in model.state_dict().items()})
        shipped.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]  # transformers and torch leave it without types
            eos_token_id=self.tokenizer.eos_token_id, pad_token_id=self.tokenizer.pad_token_id, do_sample=False
        )
        shipped.save_pretrained(self.out)
        self.tokenizer.save_pretrained(self.out)
        measured = {
            "validation_loss": round(validation_loss(shipped.float(), self.validation), 4),
            "validation_loss_random_init": round(random_loss, 4),
            "validation_tokens": self.validation.numel(),
            "corpus_tokens": self.training.numel(),
            "trained_tokens": tokens,
            "steps": steps,
            "seconds": round(seconds),
            "parameters": sum(parameter.numel() for parameter in shipped.parameters()),
        }
        facts = {"settings": asdict(self.settings), "measured": measured, "torch": torch.__version__}
        (self.out / "training.json").write_text(json.dumps(facts, indent=2) + "\n")
        (self.out / "README.md").write_text(card(self.settings, measured))
        print(json.dumps(measured), flush=True)  # noqa: T201


def card(settings: Settings, measured: dict[str, Any]) -> str:
    """The model's own card: facts only, most of them measured by this script."""
    rows = {
        "architecture": f"Llama, {settings.layers} layers, width {settings.hidden_size}, {settings.heads} heads",
        "parameters": f"{measured['parameters']:,} (embeddings tied)",
        "tokenizer": f"byte-level BPE, {settings.vocab_size:,} tokens, trained on the same text",
        "context": f"{settings.context} tokens",
        "weights": "fp16 safetensors",
        "trained on": f"{measured['trained_tokens']:,} tokens ({measured['corpus_tokens']:,} of them distinct)",
        "validation loss": f"{measured['validation_loss']} nats per token",
        "the same with random weights": f"{measured['validation_loss_random_init']} nats per token",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""---
license: cc-by-4.0
language: en
library_name: transformers
pipeline_tag: text-generation
tags: [slm-platform, llama, tiny]
---

# nano-v1

The base model that ships with SLM Platform, so that the whole main job runs offline on a processor. It knows some
English and the form of a conversation, and nothing worth asking it about: it is there to be fine-tuned.

| | |
|---|---|
{table}

Data: the works of Shakespeare as collected in tinyshakespeare (public domain), GSM8K training questions and answers
(OpenAI, MIT), CLINC150 queries and intents (Larson and others, CC BY 3.0). The validation text is a held-out
{settings.validation_share:.0%} of the same mixture.

Conversation: `<|user|>…<|end|><|assistant|>…<|end|>`; `<|end|>` is the stop token. Made by
`scripts/pretrain_nano.py` with seed {settings.seed}; all settings are in `training.json`.
"""


def main() -> None:
    """Read the command line and pretrain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the three data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--minutes", type=float, default=40.0, help="time budget")
    parser.add_argument("--tokens", type=int, help="token budget instead of a time budget")
    parser.add_argument("--threads", type=int, help="processor threads (default: all)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    settings = Settings()
    texts = documents(options.data, random.Random(settings.seed))
    held_out = int(len(texts) * settings.validation_share)
    tokenizer = train_tokenizer(texts[held_out:], settings)
    Pretraining(
        settings=settings,
        tokenizer=tokenizer,
        training=pack(texts[held_out:], tokenizer, settings.window),
        validation=pack(texts[:held_out], tokenizer, settings.window),
        out=options.out,
        budget_s=options.minutes * 60,
        budget_tokens=options.tokens,
    ).run()


if __name__ == "__main__":
    main()
