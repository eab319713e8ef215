"""The sampler on distributions whose perfect denoiser is known in closed form."""

from __future__ import annotations

import pytest
import torch

from hierarchy_nodes.controller.diffusion.sampler import Prefix, sample
from hierarchy_nodes.controller.diffusion.schedule import CosineSchedule
from hierarchy_nodes.errors import ConfigError

SCHEDULE = CosineSchedule(100)
SHAPE = (400, 16, 10)
MEAN, SPREAD = 0.7, 0.2


def gaussian(noisy, level):
    """The posterior mean of N(MEAN, SPREAD^2) given the noisy sample."""
    signal, noise = SCHEDULE.signal[level], SCHEDULE.noise[level]
    gain = signal * SPREAD**2 / (signal**2 * SPREAD**2 + noise**2)
    return MEAN + gain * (noisy - signal * MEAN)


def draw(steps, guess=None, start=100, denoise=gaussian, seed=0, **more):
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))
    return sample(guess, start, denoise, SCHEDULE, noise=noise, steps=steps, **more)


@pytest.mark.parametrize(("steps", "slack"), [(100, 0.02), (50, 0.03), (25, 0.05), (10, 0.1)])
def test_skipping_steps_keeps_the_distribution(steps, slack):
    # With the coefficients of neighbouring levels, skipped steps would end far too noisy.
    chunk = draw(steps).chunk
    assert float(chunk.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(chunk.std()) == pytest.approx(SPREAD, rel=slack * 5)
    assert abs(float(chunk.std()) - SPREAD) < slack


def test_ancestral_sampling_has_the_same_distribution():
    chunk = draw(100, randomness=1.0, generator=torch.Generator().manual_seed(1)).chunk
    assert float(chunk.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(chunk.std()) == pytest.approx(SPREAD, abs=0.02)


def test_one_step_is_the_prediction():
    chunk = draw(1, denoise=lambda noisy, level: torch.full_like(noisy, 0.3)).chunk
    assert torch.equal(chunk, torch.full(SHAPE, 0.3))


def test_warm_start_keeps_a_good_guess_and_mends_a_bad_one():
    good = MEAN + SPREAD * torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    kept = draw(3, guess=good, start=6).chunk
    assert float(kept.std()) == pytest.approx(SPREAD, rel=0.1)
    assert float((kept - good).abs().mean()) < 0.5 * float((draw(10).chunk - good).abs().mean())
    bad = torch.full(SHAPE, MEAN + 1.0)
    mended = draw(3, guess=bad, start=60).chunk
    assert float((mended - MEAN).mean()) < 0.2


def test_the_prefix_is_exact_and_the_rest_is_free():
    known = torch.full(SHAPE, -0.4)
    weights = torch.zeros(16)
    weights[:3], weights[3] = 1.0, 0.5
    found = draw(10, prefix=Prefix(known, weights)).chunk
    assert torch.equal(found[:, :3], known[:, :3])
    assert -0.4 < float(found[:, 3].mean()) < MEAN
    assert float(found[:, 4:].mean()) == pytest.approx(MEAN, abs=0.02)


def test_the_network_sees_the_prefix_as_noisy_as_the_rest():
    known, weights, seen = torch.full(SHAPE, 2.0), torch.zeros(16), {}
    weights[:2] = 1.0

    def denoise(noisy, level):
        seen[level] = noisy[:, :2]
        return gaussian(noisy, level)

    draw(10, denoise=denoise, prefix=Prefix(known, weights))
    for level, prefix in seen.items():
        assert float(prefix.mean()) == pytest.approx(2.0 * SCHEDULE.signal[level], abs=0.05)
        assert float(prefix.std()) == pytest.approx(SCHEDULE.noise[level], rel=0.05)


def test_a_junction_agrees_with_a_prefix_that_the_denoiser_understands():
    # Chunks are constant in time: who sees a prefix knows all the rest.
    def constant(noisy, level):
        signal, noise = SCHEDULE.signal[level], SCHEDULE.noise[level]
        gain = 16 * signal / (16 * signal**2 + noise**2)
        return (gain * noisy.mean(1, keepdim=True)).expand_as(noisy)

    known, weights = torch.full(SHAPE, 1.5), torch.zeros(16)
    weights[:4] = 1.0
    found = draw(50, denoise=constant, prefix=Prefix(known, weights)).chunk
    free = draw(50, denoise=constant).chunk
    assert float((found[:, 4:] - 1.5).abs().mean()) < 0.7 * float((free[:, 4:] - 1.5).abs().mean())


def test_it_stops_when_nothing_changes_any_more():
    calls = []

    def settled(noisy, level):
        calls.append(level)
        return torch.full_like(noisy, 0.5 if level < 70 else 1.0)

    found = draw(10, denoise=settled, tolerance=0.01)
    assert calls == [100, 90]
    assert (found.steps, found.change) == (2, 0.0)
    calls.clear()
    assert draw(10, denoise=settled).steps == 10


def test_predictions_are_bounded():
    bound = torch.full((16, 10), 0.25)
    assert float(draw(10, bound=bound).chunk.abs().max()) == 0.25


@pytest.mark.parametrize(
    ("steps", "start", "text"),
    [(101, 100, "101 denoising steps"), (31, 30, "31 denoising"), (5, 120, "120"), (0, 100, "0")],
)
def test_more_than_was_trained_is_refused(steps, start, text):
    with pytest.raises(ConfigError, match=text):
        draw(steps, guess=torch.zeros(SHAPE), start=start)


def test_a_low_start_needs_a_guess():
    with pytest.raises(ConfigError, match="guess"):
        draw(3, start=30)
