"""How much memory of a GPU a training run takes, before it runs: arithmetic alone, without torch.

A step has up to three moments at which memory peaks. All hold the weights, those of T5 in 32 bits, the optimiser's two moments (AdamW, 32 bits each; Muon has one) and the
moving average:

- backward: what autograd kept of a micro-batch; with checkpointing the input of each layer and one layer computed again; bf16 copies of weights that
  autocast keeps; then either the logits with their gradients or the gradients within a layer; and the gradients so far, when they add up;
- optimiser: all gradients, and one more copy of what is trained, since AdamW on a GPU takes the square roots of all second moments at once; Muon takes one matrix
  after another, with three copies of it;
- validation, where there is a moving average: as before, with the weights put aside and bf16 copies of the average.

On top comes what CUDA itself takes, which `torch.cuda.max_memory_allocated` does not count. Not counted: what the allocator loses between its blocks (see
SPARE), and NCCL's buffers where several GPUs train one model.

Attention is counted as fused kernels compute it: queries, keys, values, output and one number for each row are kept, never steps x steps. Norms keep 32-bit
inputs whatever the precision, as autocast on a GPU has it. The formulas were derived from what `saved_tensors_hooks` shows of the
decoder, and agree within 10 % with the peak of a step on the CPU (tests/train/test_plan.py). Masks of dropout are counted as a GPU keeps them, a byte each, and
are checked by nothing. Measured on a GPU: not yet.

Letters: n steps and w words of all examples of a micro-batch, d width, h feed-forward width, e bytes of a number in computation. All sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from ostinato.harmony.chords import QUALITIES
from ostinato.params import Model as ModelParams
from ostinato.params.blocks import Lora, Method

if TYPE_CHECKING:
    from ostinato.lm.shape import Shape

GIB = 2**30
#: What CUDA, cuBLAS and the kernels take before anything is computed.
CONTEXT = GIB // 2
#: Share of a GPU left free when a micro-batch is proposed: what its allocator may lose. A guess.
SPARE = 0.05
#: What may be changed so that a run fits, in the order it is proposed.
CHANGES: dict[str, dict[str, Any]] = {
    "checkpointing: true": {"checkpointing": True},
    "precision: bf16": {"precision": "bf16"},
    "ema: null": {"ema": None},
    "lora: {rank: 16, alpha: 32, dropout: 0}": {"lora": Lora(rank=16, alpha=32, dropout=0.0)},
}


@dataclass(frozen=True)
class Text:
    """A text encoder: `width` of what is projected to the decoder's, `parameters` that are the model's own, `words` of a prompt (a guess), `layers` trained;
    `apart`: parameters of T5, which is frozen, in 32 bits, and no part of the model.
    """

    width: int
    parameters: int
    words: int = 16
    layers: int = 0
    apart: int = 0


@dataclass(frozen=True)
class Need:
    """What one process needs, bytes.

    `encoder`: T5; `activations`: kept for the backward pass; `recomputed`: one layer and, `transient`, what gradients pass through it, with checkpointing;
    `copies`: of weights, in bf16, at the end of the forward pass; `loss`: logits, their softmax and gradients; `moments`: what is held at each possible peak
    (see the module), which is never all of it.
    """

    trained: int
    frozen: int
    encoder: int
    gradients: int
    optimiser: int
    average: int
    activations: int
    recomputed: int
    transient: int
    copies: int
    loss: int
    moments: dict[str, int]
    context: int = CONTEXT

    @property
    def when(self) -> str:
        """The moment of the peak."""
        return max(self.moments, key=lambda name: self.moments[name])

    @property
    def peak(self) -> int:
        """The most at any moment."""
        return self.moments[self.when] + self.context


@dataclass(frozen=True)
class Subject:
    """What is trained. `stored`: bytes of a number in the file it is loaded from; 0: it is drawn."""

    name: str
    shape: Shape
    text: Text
    frame_rate: float
    stored: int = 0


@dataclass(frozen=True)
class Run:
    """How it is trained: `share` examples of a batch are a process's, `micro` of them are computed at a time; `gpu`: bytes for the process, 0: not known;
    `adaptable`: there are weights that LoRA could adapt.
    """

    subject: Subject
    method: Method
    seconds: float
    share: int
    micro: int
    gpu: float = 0.0
    adaptable: bool = True

    def need(self, micro: int | None = None) -> Need:
        """What a process needs, with the run's micro-batch or another."""
        micro = min(micro or self.micro, self.share)
        return need(self.subject.shape, self.subject.text, self.method, micro, int(self.seconds * self.subject.frame_rate), accumulates=micro < self.share)

    def largest(self) -> int:
        """The largest micro-batch that fits with something to spare; 0: none."""
        return next((micro for micro in range(self.share, 0, -1) if self.need(micro).peak <= (1 - SPARE) * self.gpu), 0)

    @property
    def fits(self) -> bool:
        """Whether a single example at a time fits, or a GPU is not known."""
        return not self.gpu or min(self.need(1).peak, self.need(self.share).peak) <= self.gpu


def t5(dim: int, width: int = 768) -> Text:
    """The text encoder of a pretrained MusicGen, T5 and a projection: T5-base where no other width is said."""
    layers = {512: 6, 1024: 24}.get(width, 12)
    return Text(width, (width + 1) * dim, apart=32_128 * width + layers * 12 * width**2)


def chord_text(model: ModelParams) -> Text:
    """The text encoder of lm.text, trained with its decoder."""
    width, layer = model.text_dim, 8 * model.text_dim**2 + 11 * model.text_dim
    rows = model.words + 1 + 13 + len(QUALITIES) + 12
    return Text(width, (width + 1) * model.dim + rows * width + 2 * width**2 + model.text_layers * layer, layers=model.text_layers)


def parameters(shape: Shape) -> int:
    """Numbers in a decoder."""
    d = shape.dim
    layer = _matrices(shape) + 2 * d * (3 if shape.cross else 2)
    return shape.codebooks * (shape.cardinality + 1) * d + shape.layers * layer + 2 * d + shape.codebooks * shape.cardinality * d


def adapter_parameters(shape: Shape, rank: int) -> int:
    """Numbers in adapters of that rank on all matrices of all layers: `rank` for each row and column."""
    d, h = shape.dim, shape.hidden
    return shape.layers * rank * (4 * d + 2 * d + 2 * (d + h) + (2 * d + 3 * d + 2 * d if shape.cross else 0))


def _matrices(shape: Shape) -> int:
    """Numbers in the matrices of a layer."""
    return (8 if shape.cross else 4) * shape.dim**2 + 2 * shape.dim * shape.hidden


def need(shape: Shape, text: Text, method: Method, micro_batch: int, steps: int, accumulates: bool = True) -> Need:
    """What training takes.

    Args:
        steps: of an example (frames of the codec); accumulates: whether a batch is several micro-batches, so that gradients are held while the next is
        computed.
    """
    everything, n = parameters(shape) + text.parameters, micro_batch * steps
    trained = adapter_parameters(shape, method.lora.rank) if method.lora else everything
    frozen = everything * _bytes(method) if method.lora else 0
    kept, last = activations(shape, text, method, micro_batch, steps)
    recomputed = recomputation(shape, text, method, micro_batch, steps)
    ends, of_layer = weight_copies(shape, text, method)
    copies = ends + shape.layers * of_layer
    logits = n * shape.codebooks * shape.cardinality  # 12 bytes each: the softmax, its gradient and their own, 32 bits each
    transient = layer_gradients(shape, method, n)
    layer = recomputed + (of_layer if method.checkpointing else 0) + transient
    forward = kept + copies + _bytes(method) * logits
    backward = kept + (ends if method.checkpointing else copies) + max(12 * logits, layer - last)
    gradients, average = 4 * trained, 4 * trained if method.ema else 0
    encoder = 4 * text.apart
    by_muon = muons(shape, text, method)
    moments_of_optimiser = 8 * trained - 4 * by_muon
    held = frozen + encoder + 4 * trained + moments_of_optimiser + average
    peak = max(max(forward, backward) + (gradients if accumulates else 0), gradients + layer)
    moments = {"backward": held + peak, "optimiser": held + gradients + max(4 * (trained - by_muon), 12 * shape.dim * shape.hidden * (by_muon > 0))}
    if average:
        moments["validation"] = held + gradients + 4 * trained + copies + 10 * logits
    return Need(4 * trained, frozen, encoder, gradients, moments_of_optimiser, average, kept, recomputed, transient, copies, 12 * logits, moments)


def muons(shape: Shape, text: Text, method: Method) -> int:
    """Numbers that Muon trains: those in the matrices of the layers (see train.optimizers)."""
    return 0 if method.optimizer == "adamw" or method.lora else shape.layers * _matrices(shape) + text.layers * 8 * text.width**2


def _bytes(method: Method) -> int:
    """Of a number in computation."""
    return 2 if method.precision == "bf16" else 4


def activations(shape: Shape, text: Text, method: Method, examples: int, steps: int) -> tuple[int, int]:
    """What autograd keeps at the end of the forward pass, but for the softmax of the logits; and how much of it lies behind the last layer."""
    n, e, d = examples * steps, _bytes(method), shape.dim
    last = n * (4 * d + 8 + (0 if method.lora else e * d))
    first = 0 if method.lora else n * (8 * shape.codebooks + 24)  # the rows of the embeddings, for their gradients
    read = examples * text.words * (e * (d + text.width) + text.layers * 68 * text.width)  # a layer of the text's keeps about 17 numbers for each of its width
    layer = n * d * _residual(method) if method.checkpointing else layer_activations(shape, text, method, examples, steps)
    return first + read + shape.layers * layer + last, last


def recomputation(shape: Shape, text: Text, method: Method, examples: int, steps: int) -> int:
    """What a layer computed again adds, with checkpointing; its input is there already, unless its norm wants another precision."""
    if not method.checkpointing:
        return 0
    shared = examples * steps * shape.dim * 4 if _residual(method) == 4 else 0
    return layer_activations(shape, text, method, examples, steps) - shared


def _residual(method: Method) -> int:
    """Bytes of a number between layers: 32-bit embeddings make 32-bit sums."""
    return _bytes(method) if method.lora else 4


def layer_activations(shape: Shape, text: Text, method: Method, examples: int, steps: int) -> int:
    """What autograd keeps of a layer.

    Of each norm its 32-bit input, mean and deviation; the inputs of the matrices; queries, keys, values and outputs of attention; both sides of the GELU. With
    adapters: what lies between their two matrices, and, where it is cast or dropped on its way there, another copy of attention's output.
    """
    n, w, e, d, h = examples * steps, examples * text.words, _bytes(method), shape.dim, shape.hidden
    attentions = 2 if shape.cross else 1
    kept = (attentions + 1) * n * (4 * d + 8 + e * d)
    kept += n * e * 4 * d + n * 4 * shape.heads + 2 * n * e * h
    if shape.cross:
        kept += n * e * 2 * d + n * 4 * shape.heads + 2 * w * e * d
    if shape.dropout:
        kept += n * (attentions * d + d + h)
    if method.lora:
        copied = e == 2 or method.lora.dropout > 0
        kept += n * e * method.lora.rank * (2 * attentions + 2) + (attentions * n + (attentions - 1) * w) * e * d * copied
        kept += (n * ((2 * attentions + 1) * d + h) + w * d * (attentions - 1)) * (method.lora.dropout > 0)
    return kept


def weight_copies(shape: Shape, text: Text, method: Method) -> tuple[int, int]:
    """bf16 copies of trained matrices that autocast makes: of those before and behind the layers, and of those of one layer."""
    if method.precision == "fp32":
        return 0, 0
    if method.lora:
        return 0, 2 * adapter_parameters(shape, method.lora.rank) // shape.layers
    return 2 * (shape.codebooks * shape.cardinality + text.width) * shape.dim, 2 * _matrices(shape)


def layer_gradients(shape: Shape, method: Method, n: int) -> int:
    """What the backward pass of a layer holds at its widest, in the feed-forward net: gradients of its input, of both sides of the GELU, and of a matrix."""
    e, d, h = _bytes(method), shape.dim, shape.hidden
    if method.lora:
        return n * (e * d + 8 * h)
    return n * ((4 if e == 4 else 6) * d + e * h) + e * d * h


def remedy(planned: Run) -> str:
    """What would make it fit: the fewest changes of the method."""
    for count in range(1, len(CHANGES) + 1):
        found = [f"{{{', '.join(names)}}} ({peak / GIB:.1f} GiB)" for names, peak in _changed(planned, count) if peak <= planned.gpu]
        if found:
            return f"it would fit with train.method {' or '.join(found)}"
    least = min((peak for count in range(1, len(CHANGES) + 1) for _, peak in _changed(planned, count)), default=planned.need(1).peak)
    return f"no method needs less than {least / GIB:.1f} GiB: shorten plan.segment_seconds, or take a larger GPU or a smaller model"


def _changed(planned: Run, count: int) -> Iterator[tuple[tuple[str, ...], int]]:
    """The need of a single example under every choice of `count` changes that change something."""
    useful = [name for name, values in CHANGES.items() if any(getattr(planned.method, key) != value for key, value in values.items())]
    if planned.method.lora or not planned.adaptable:
        useful = [name for name in useful if not name.startswith("lora")]
    for names in combinations(useful, count):
        values = {key: value for name in names for key, value in CHANGES[name].items()}
        yield names, replace(planned, method=planned.method.model_copy(update=values)).need(1).peak
