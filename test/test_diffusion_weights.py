"""Weights files: what belongs together, and what is refused with which words."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy import TINY, demonstrations

from hierarchy_nodes.controller.diffusion.actions import Normalisation
from hierarchy_nodes.controller.diffusion.features import CHANNELS
from hierarchy_nodes.controller.diffusion.network import DiffusionNetwork, NetworkConfig
from hierarchy_nodes.controller.diffusion.policy import Policy
from hierarchy_nodes.controller.diffusion.weights import PolicyConfig, load_weights
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.weights import save_weights


@pytest.fixture
def path(tmp_path):
    torch.manual_seed(0)
    network = DiffusionNetwork(TINY)
    actions = 0.1 * torch.randn(20, 16, 10)
    config = PolicyConfig(network.config, [], Normalisation.fit(actions, 0.3), training={"n": 1})
    save_weights(tmp_path / "w.safetensors", config, network.state_dict())
    return tmp_path / "w.safetensors"


def change(path, **values):
    file = path.with_suffix(".json")
    data = json.loads(file.read_text()) | values
    file.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))


def normalisation(path, **values):
    data = json.loads(path.with_suffix(".json").read_text())["normalisation"] | values
    return {"normalisation": {k: v for k, v in data.items() if v is not None}}


def refused(path, text):
    with pytest.raises(ConfigError, match=text) as caught:
        load_weights(path)
    assert path.stem in str(caught.value)


def test_what_was_saved_is_loaded(path):
    network, config = load_weights(path)
    assert config.training == {"n": 1}
    assert not network.training
    again = load_weights(path)[0].state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, again[name])


def test_statistics_are_needed(path):
    change(path, **normalisation(path, scale=None))
    refused(path, "normalisation.scale is missing")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"mean": [[0.0] * 10] * 4},
            r"normalisation.mean has shape \(4, 10\), expected \(16, 10\)",
        ),
        ({"mean": [[float("nan")] * 10] * 16}, "normalisation.mean contains NaN"),
        ({"scale": [[0.0] * 10] * 16}, "scale must be positive"),
    ],
)
def test_statistics_are_checked(path, values, text):
    change(path, **normalisation(path, **values))
    refused(path, text)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"format": 7}, "format 7"),
        ({"layout": {"points": 3}}, "layout"),
        ({"schedule": {"kind": "linear", "levels": 50}}, "linear"),
        ({"schedule": {"kind": "cosine", "levels": 1000}}, "1000"),
        ({"channels": ["path", "smell"]}, "smell"),
        ({"vocabulary": ["word"]}, "vocabulary has 1 words"),
        ({"normalisation": None}, "'normalisation' is missing"),
    ],
)
def test_the_config_is_checked(path, values, text):
    change(path, **values)
    refused(path, text)


def test_unknown_sizes_name_the_nearest(path):
    data = json.loads(path.with_suffix(".json").read_text())
    change(path, network=data["network"] | {"widht": 3})
    refused(path, "Did you mean 'width'")


def test_tensors_are_checked(path):
    state = load_file(path)
    save_file({k: v for k, v in state.items() if k != "out.bias"}, path)
    refused(path, "'out.bias' is missing")
    save_file(state | {"out.bias": torch.zeros(3)}, path)
    refused(path, r"'out.bias' has shape \(3,\), .* needs \(10,\)")
    save_file(state | {"out.bias": torch.full((10,), float("nan"))}, path)
    refused(path, "'out.bias' contains NaN")
    save_file(state | {"more": torch.zeros(1)}, path)
    refused(path, "'more' belongs to no part")


def test_missing_and_broken_files_are_named(path, tmp_path):
    refused(tmp_path / "none.safetensors", "hierarchy train controller")
    path.write_bytes(b"nothing")
    refused(path, "no weights can be read")


def test_sizes_are_checked():
    with pytest.raises(ConfigError, match="no multiple of heads"):
        NetworkConfig(width=10, heads=3)
    with pytest.raises(ConfigError, match=r"network\.layers"):
        NetworkConfig(layers=0)


def test_a_missing_channel_says_nothing(path):
    # Whatever stands in a channel that is missing, the network gives the same.
    network, _ = load_weights(path)
    arrays = {
        name: torch.from_numpy(value)
        for name, value in demonstrations(4).items()
        if hasattr(value, "shape")
    }
    torch.manual_seed(1)
    arrays["motion_there"] = torch.ones(4, 1)
    other = dict(arrays)
    for name in ("path", "path_pixels", "things", "motion", "path_passed", "closest"):
        other[name] = arrays[name] + torch.rand_like(arrays[name])
    for name in ("point_roles", "path_gripper", "interaction"):
        other[name] = 2 - arrays[name].clamp(max=2)
    words = torch.zeros(4, TINY.words, dtype=torch.long)
    level, noisy = torch.full((4,), 20), torch.randn(4, 16, 10)
    network.out.weight.data.normal_()

    def answer(batch, channels, numbers):
        memory = network.encode(batch, network.read(numbers), torch.tensor([channels] * 4))
        return network.denoise(noisy, level, memory)

    with torch.no_grad():
        blind = [0.0] * 4
        assert torch.equal(answer(arrays, blind, words), answer(other, blind, words + 1))
        for channel in range(4):
            seeing = [float(i == channel) for i in range(4)]
            one, two = answer(arrays, seeing, words), answer(other, seeing, words + 1)
            assert not torch.equal(one, two), CHANNELS[channel]


def test_a_policy_needs_known_channels(path):
    with pytest.raises(ConfigError, match="smell"):
        Policy.load(path, ("smell",))
