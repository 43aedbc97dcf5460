"""The decoder: it computes what audiocraft and transformers compute, at every size, step by step as at once, and samples as asked."""

from dataclasses import replace

import pytest
import torch
from torch.nn.init import uniform_

from ostinato.codec.audiocraft_compat import import_audiocraft
from ostinato.files import UserError
from ostinato.generate.sampling import KEPT_SHARE, Sampling, draw, generate, stream
from ostinato.lm.decoder import Decoder, Shape
from ostinato.lm.delays import inputs_and_targets
from ostinato.lm.export import transformers_model
from ostinato.lm.layout import audiocraft, read, write
from ostinato.lm.model import load_lm
from ostinato.lm.positions import turns
from pretrained import SMALL, TINY, conditions, encodec_model, pretrained, theirs

TEXTS = ["piano C playing G", "organ F"]
GREEDY = Sampling(temperature=0)
OTHER = replace(TINY, dim=48, layers=2, heads=3, hidden=96, delays=(0, 0, 2))
MINE = Shape(32, 3, 4, 64, 16, (0, 1, 3))


@pytest.fixture(scope="module", params=[TINY, OTHER], ids=["tiny", "other"])
def pair(request, tmp_path_factory):
    """One folder, loaded by us and by audiocraft."""
    with pytest.MonkeyPatch.context() as patch:
        folder = pretrained(tmp_path_factory.mktemp("hub"), patch, request.param)
        yield load_lm(folder), theirs(folder)


def random_codes(shape: Shape, frames: int, batch: int = 2) -> torch.Tensor:
    return torch.randint(shape.cardinality, (batch, shape.codebooks, frames), generator=torch.Generator().manual_seed(5))


def framewise(logits: torch.Tensor, delays: tuple[int, ...]) -> torch.Tensor:
    """Logits of steps as logits of frames, as audiocraft returns them; NaN where they are not computed."""
    moved = torch.full_like(logits, float("nan"))
    for k, delay in enumerate(delays):
        moved[:, k, : logits.shape[2] - delay] = logits[:, k, delay:]
    return moved


def random_decoder(shape: Shape = MINE) -> Decoder:
    torch.manual_seed(7)
    return Decoder(shape).eval()


@torch.no_grad()
def differences(ours, oracle, codes: torch.Tensor, texts: list[str | None]) -> tuple[float, float]:
    """Of logits, the largest; and of the loss, in training, averaged as audiocraft's solver does."""
    shape, mask = ours.decoder.shape, torch.ones(len(codes), 1, codes.shape[2], dtype=torch.bool)
    tokens, targets, counts = inputs_and_targets(codes, mask, shape.delays, ours.decoder.special)
    logits, expected = ours(tokens, texts), oracle.compute_predictions(codes, conditions(texts))
    assert counts.sum() == expected.mask.sum() > 0
    average = import_audiocraft("audiocraft.solvers.musicgen").MusicGenSolver._compute_cross_entropy
    losses = average(None, logits, targets, counts)[0], average(None, expected.logits, codes, expected.mask)[0]
    return float((framewise(logits, shape.delays) - expected.logits)[expected.mask].abs().max()), float(losses[0] - losses[1])


def test_logits_and_losses_are_audiocrafts(pair):
    ours, oracle = pair
    for texts in (TEXTS, ["ukulele G", None], [None, None]):
        logits, loss = differences(ours, oracle, random_codes(ours.decoder.shape, 40), texts)
        assert logits < 2e-5 and abs(loss) < 5e-6


@pytest.mark.parametrize("given", [0, 1, 7])
@pytest.mark.parametrize("how", [GREEDY, replace(GREEDY, guidance=1.0), Sampling(top_k=5), Sampling(0.7, top_p=0.8), Sampling(1.3, 0, guidance=2.0)], ids=str)
def test_codes_are_audiocrafts_greedy_or_drawn(pair, how, given):
    ours, oracle = pair
    prompt = random_codes(ours.decoder.shape, given) if given else None
    torch.manual_seed(1)
    expected = oracle.generate(
        prompt=prompt, conditions=conditions(TEXTS), max_gen_len=30, use_sampling=how.temperature > 0, temp=how.temperature, top_k=how.top_k, top_p=how.top_p, cfg_coef=how.guidance
    )
    torch.manual_seed(1)
    assert torch.equal(generate(ours, TEXTS, 30, how, prompt), expected)
    assert len(expected[:, :, given:].unique()) > 10


def test_the_true_small_size_is_no_exception(tmp_path, monkeypatch):
    # as wide, and ten times faster than what audiocraft initialises with, twice
    monkeypatch.setattr("torch.nn.init.trunc_normal_", lambda tensor, mean, std, a, b: uniform_(tensor, -1.7 * std, 1.7 * std))
    folder = pretrained(tmp_path, monkeypatch, SMALL, torch.float16)  # as the true ones are published
    ours, oracle = load_lm(folder), theirs(folder)
    assert sum(p.numel() for p in ours.decoder.parameters()) == 419_584_000
    logits, loss = differences(ours, oracle, random_codes(SMALL, 8, batch=1), TEXTS[:1])
    assert logits < 2e-5 and abs(loss) < 5e-6
    expected = oracle.generate(conditions=conditions(TEXTS[:1]), max_gen_len=3, use_sampling=False, cfg_coef=3.0)
    assert torch.equal(generate(ours, TEXTS[:1], 3, GREEDY), expected)
    (folder / "state_dict.bin").unlink()  # 0.8 GB; pytest keeps folders


def test_transformers_computes_the_same_logits_and_greedy_codes(pair, monkeypatch):
    ours, _ = pair
    shape = ours.decoder.shape
    if shape.delays != tuple(range(shape.codebooks)):
        with pytest.raises(UserError, match="delays"):
            transformers_model(ours, encodec_model(shape))
        return
    model = transformers_model(ours, encodec_model(shape))
    texts = ["piano C", "organ F"]  # of one length: transformers masks padding, audiocraft attends to zeros
    words = ours.text.tokenizer(texts, return_tensors="pt")
    tokens = random_codes(shape, 40)
    with torch.no_grad():
        logits = model(**words, decoder_input_ids=tokens.flatten(0, 1)).logits.unflatten(0, tokens.shape[:2])
        assert (logits - ours(tokens, texts)).abs().max() < 2e-5
    heard, decode = [], model.audio_encoder.decode
    monkeypatch.setattr(model.audio_encoder, "decode", lambda codes, **rest: heard.append(codes[0]) or decode(codes, **rest))
    model.generate(**words, do_sample=False, guidance_scale=3.0, max_new_tokens=20 + max(shape.delays))
    assert torch.equal(generate(ours, texts, 20, GREEDY), heard[0])


def test_names_are_mapped_to_and_fro_without_loss(pair):
    ours, oracle = pair
    written = write(ours.state_dict(), ours.pairs())
    assert written.keys() == oracle.state_dict().keys() and all(torch.equal(written[name], value) for name, value in oracle.state_dict().items())
    again = read(written, audiocraft(ours.decoder.shape, ours.text.state_dict()), ours.state_dict(), "here")
    assert again.keys() == ours.state_dict().keys() and all(torch.equal(again[name], value) for name, value in ours.state_dict().items())


@pytest.mark.parametrize("shape", [MINE, replace(MINE, rotary=True), replace(MINE, cross=False)], ids=["sinusoids", "rotary", "no text"])
@torch.no_grad()
def test_step_by_step_it_computes_what_it_does_at_once(shape):
    decoder, tokens = random_decoder(shape), random_codes(shape, 12)
    text = torch.randn(2, 5, shape.dim) if shape.cross else None
    whole = decoder(tokens, text)
    cache, static = (decoder.start(2, 15, text) for _ in range(2))
    for steps in (range(5), range(5, 8), *(range(step, step + 1) for step in range(8, 12))):
        some = tokens[:, :, steps.start : steps.stop]
        assert torch.allclose(decoder.advance(some, cache), whole[:, :, steps.stop - 1 : steps.stop], atol=1e-5)
    for step in range(12):
        assert torch.allclose(decoder(tokens[:, :, step : step + 1], cache=static, at=torch.tensor([step])), whole[:, :, step : step + 1], atol=1e-5)
    assert cache.length == 12 and torch.allclose(cache.keys, static.keys, atol=1e-5)


@torch.no_grad()
def test_no_step_sees_the_future_and_every_step_sees_where_it_is():
    for shape in (MINE, replace(MINE, rotary=True)):
        decoder, tokens = random_decoder(shape), random_codes(shape, 12)
        changed = tokens.clone()
        changed[:, :, 6] = (changed[:, :, 6] + 1) % shape.cardinality
        before, after = decoder(tokens), decoder(changed)
        assert torch.equal(before[:, :, :6], after[:, :, :6]) and not any(torch.allclose(before[:, :, s], after[:, :, s], atol=1e-3) for s in range(6, 12))
        swapped = decoder(tokens[:, :, [1, 0, *range(2, 12)]])
        assert not torch.allclose(before[:, :, 2:], swapped[:, :, 2:], atol=1e-3)
    attention, x, positions = decoder.layers[0].self_attention, torch.randn(2, 12, MINE.dim), torch.arange(12)  # rotary: distances alone matter
    near, far, apart = (attention(x, (places, turns(places, MINE.dim // MINE.heads))) for places in (positions, positions + 100, 2 * positions))
    assert torch.allclose(near, far, atol=1e-4)
    assert not torch.allclose(near, apart, atol=1e-3)


@torch.no_grad()
def test_rows_without_a_text_are_rows_of_zeros():
    decoder, tokens, text = random_decoder(), random_codes(MINE, 9, batch=3), torch.randn(1, 5, MINE.dim)
    padded = torch.cat([text, torch.zeros(2, 5, MINE.dim)])
    assert torch.allclose(decoder(tokens, text), decoder(tokens, padded), atol=1e-6)
    assert not torch.allclose(decoder(tokens, text)[:1], decoder(tokens)[:1], atol=1e-3)


def test_checkpointing_keeps_less_and_changes_no_gradient():
    kept, gradients = [], []
    for checkpointing in (False, True):
        decoder, size = random_decoder().train(), 0

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal size
            size += tensor.numel()
            return tensor

        decoder.checkpointing = checkpointing
        text = torch.randn(2, 5, MINE.dim, generator=torch.Generator().manual_seed(1), requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = decoder(random_codes(MINE, 20), text).square().mean()
        loss.backward()
        kept.append(size)
        gradients.append([text.grad, *(parameter.grad for parameter in decoder.parameters())])
    assert kept[1] < kept[0] / 2
    assert all(torch.allclose(a, b, atol=1e-8) and a.any() for a, b in zip(*gradients))


def test_beyond_its_window_it_goes_on_from_the_end_of_the_last(pair):
    ours, _ = pair
    window, frames = 20, 50
    kept = int(KEPT_SHARE * window)
    whole = generate(ours, TEXTS, frames, GREEDY, window=window)
    assert whole.shape == (2, ours.decoder.shape.codebooks, frames)
    assert torch.equal(whole[:, :, :window], generate(ours, TEXTS, window, GREEDY))
    for end in range(window, frames, window - kept):
        until = min(frames, end + window - kept)
        alone = generate(ours, TEXTS, until - end + kept, GREEDY, prompt=whole[:, :, end - kept : end])
        assert torch.equal(alone, whole[:, :, end - kept : until])
    assert not torch.equal(whole, generate(ours, TEXTS, frames, GREEDY))


def test_codes_come_in_pieces_and_are_the_same(pair):
    ours, _ = pair
    prompt = random_codes(ours.decoder.shape, 9)
    for window in (None, 20):
        pieces = list(stream(ours, TEXTS, 50, GREEDY, prompt, window, piece=7))
        assert max(piece.shape[2] for piece in pieces) == 7 and len(pieces) >= 6
        assert torch.equal(torch.cat([prompt, *pieces], dim=2), generate(ours, TEXTS, 50, GREEDY, prompt, window))
    with pytest.raises(UserError, match="9 are asked for and 9 are given as a prompt"):
        generate(ours, TEXTS, 9, GREEDY, prompt)


def test_windows_of_a_frame_or_two_end(pair):
    ours, _ = pair
    for window in (1, 2):
        assert generate(ours, TEXTS, 5, GREEDY, window=window).shape[2] == 5


def test_only_what_is_allowed_is_drawn_and_all_of_it():
    torch.manual_seed(0)
    logits = torch.tensor([0.5, 3.0, 1.0, 2.5, -1.0, 2.0]).repeat(3000, 1)

    def drawn(**how) -> list[int]:
        return draw(logits, Sampling(**how)).unique().tolist()

    likeliest = logits.argmax(-1)
    for how in (Sampling(temperature=0), Sampling(top_k=1), Sampling(top_p=1e-6), Sampling(temperature=1e-3)):
        assert torch.equal(draw(logits, how), likeliest)
    assert drawn(top_k=3) == [1, 3, 5] and drawn(top_p=0.6) == [1, 3] and drawn(top_k=0) == drawn(top_p=1.0) == drawn(top_k=99) == [0, 1, 2, 3, 4, 5]
    for temperature in (0.5, 1.0, 2.0):
        found = torch.bincount(draw(logits, Sampling(temperature, top_k=0)), minlength=6) / len(logits)
        assert torch.allclose(found, torch.softmax(logits[0] / temperature, 0), atol=0.04)


@pytest.mark.parametrize("name, value", [("temperature", -0.1), ("temperature", float("nan")), ("top_k", -1), ("top_p", 1.5), ("guidance", -3.0)])
def test_sampling_out_of_range_is_named(pair, name, value):
    with pytest.raises(UserError, match=f"^{name}: expected a number of at least 0.*, got {value:g}"):
        generate(pair[0], TEXTS, 3, replace(GREEDY, **{name: value}))
