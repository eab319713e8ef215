"""Backend sam2 with the real package, on a tiny checkpoint that the test makes."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from scenes import GREEN, RED, cube, picture, plan_for, plate, robot_at

from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.parameters import from_mapping
from hierarchy_nodes.segmenter.base import SEGMENTERS
from hierarchy_nodes.segmenter.sam2 import loading
from hierarchy_nodes.segmenter.sam2.backend import Sam2Segmenter
from hierarchy_nodes.segmenter.sam2.options import Sam2Options
from hierarchy_nodes.types import Role

BOXES = [cube(0.40, 0.1, RED), plate(0.5, -0.1), cube(0.6, 0.15, GREEN)]
real = pytest.mark.skipif(
    importlib.util.find_spec("sam2") is None or importlib.util.find_spec("torch") is None,
    reason=f"the package sam2 is not installed: {loading.INSTALL}",
)
pytestmark = pytest.mark.timeout(300)  # Imports alone take most of a minute on a busy machine.


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    from tiny_sam2 import make

    return make(tmp_path_factory.mktemp("sam2"))


@pytest.fixture
def options(files):
    config, checkpoint = files
    return from_mapping(
        Sam2Options,
        {
            "model_config": str(config),
            "checkpoint": str(checkpoint),
            "image_size": 64,
            "device": "cpu",
        },
    )


def image(number, size=(48, 64)):
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


@real
def test_real_model_points_and_follows(options):
    tracker = loading.load_tracker(options)
    assert type(tracker._model).__mro__[1].__module__ == "sam2.sam2_video_predictor"
    tracker.show(image(0))
    guess = tracker.point(7, 0.3, 0.6)
    assert guess.mask.shape == (48, 64)
    assert guess.mask.dtype == bool
    assert 0.5 < guess.score <= 1.0
    assert 0.0 < guess.iou < 1.0
    assert guess.look.shape == (32,)
    assert np.abs(guess.look).max() > 0
    elsewhere = tracker.point(7, 0.9, 0.1)
    assert (guess.mask != elsewhere.mask).any(), "the point matters"
    tracker.remember(7)
    assert tracker.keys == {7}
    for number in range(1, 4):
        tracker.show(image(number))
        guess = tracker.follow(7)
        assert guess.mask.shape == (48, 64)
        tracker.remember(7)
    tracker.forget(7)
    assert tracker.keys == set()
    with pytest.raises(KeyError):
        tracker.follow(7)


@real
def test_same_images_same_masks_and_memory_matters(options):
    def run(remembered):
        tracker = loading.load_tracker(options)
        tracker.show(image(0))
        tracker.point(1, 0.5, 0.5)
        tracker.remember(1)
        for number in (1, 2, 3):
            tracker.show(image(number))
            guess = tracker.follow(1)
            if remembered:
                tracker.remember(1)
        return tracker, guess

    tracker, first = run(True)
    _, again = run(True)
    assert (first.mask == again.mask).all()
    assert first.iou == again.iou
    _, without = run(False)
    assert without.iou != first.iou, "what is remembered is attended to"
    assert (tracker.follow(1).mask == tracker.follow(1).mask).all(), "a guess alone leaves no trace"


@real
def test_streaming_gives_what_the_package_gives_on_a_folder_of_the_same_images(
    options, files, tmp_path
):
    """The package's own way needs all images beforehand; ours gets them one by one."""
    from PIL import Image
    from sam2.build_sam import build_sam2_video_predictor

    images = [image(number, (64, 64)) for number in range(7)]
    folder = tmp_path / "video"
    folder.mkdir()
    for number, pixels in enumerate(images):
        # JPEG by name only, so that both get the very same pixels.
        Image.fromarray(pixels).save(folder / f"{number:05d}.jpg", format="PNG")
    with loading.searching(files[0]) as name:
        package = build_sam2_video_predictor(
            name, str(files[1]), "cpu", hydra_overrides_extra=["++model.image_size=64"]
        )
    package.fill_hole_area = 0
    state = package.init_state(str(folder))
    package.add_new_points_or_box(state, 0, 1, points=[[20.0, 30.0]], labels=[1])
    expected = {n: logits[0, 0].numpy() for n, _, logits in package.propagate_in_video(state)}

    tracker = loading.load_tracker(options)
    for number, pixels in enumerate(images):
        tracker.show(pixels)
        guess = tracker.follow(1) if number else tracker.point(1, 20 / 64, 30 / 64)
        tracker.remember(1)
        # The package keeps its memory in half precision and we do not: near 0 signs differ.
        size = np.abs(expected[number])
        clear = size > np.quantile(size, 0.3)
        assert (guess.mask == (expected[number] > 0))[clear].mean() > 0.99, number


@real
def test_pointing_one_thing_again_leaves_the_others_as_they_are(options):
    def run(again):
        tracker = loading.load_tracker(options)
        tracker.show(image(0))
        for key, x in ((1, 0.2), (2, 0.5), (3, 0.8)):
            tracker.point(key, x, 0.5)
            tracker.remember(key)
        tracker.show(image(1))
        for key in (1, 2, 3):
            if key == 2 and again:
                tracker.point(2, 0.1, 0.9)
            else:
                tracker.follow(key)
            tracker.remember(key)
        tracker.show(image(2))
        return [tracker.follow(key) for key in (1, 2, 3)]

    plain, again = run(False), run(True)
    assert [a.iou == b.iou for a, b in zip(plain, again, strict=True)] == [True, False, True]
    assert (plain[0].mask == again[0].mask).all()
    assert (plain[2].mask == again[2].mask).all()


@real
@pytest.mark.parametrize(("memory_frames", "images"), [(15, 300), (2, 20)])
def test_memory_is_bounded(options, memory_frames, images):
    """Neither more images nor more points make the state grow."""
    tracker = loading.load_tracker(replace(options, memory_frames=memory_frames, image_size=32))
    tracker.show(image(0))
    for key in (1, 2):
        tracker.point(key, 0.5, 0.3 * key)
        tracker.remember(key)
    sizes = []
    for number in range(1, images + 1):
        tracker.show(image(number % 10))
        tracker.follow(1)
        tracker.remember(1)
        if number % 10 == 0:
            tracker.point(2, 0.1, 0.2)
            tracker.remember(2)
            sizes.append(tracker.state_bytes())
    assert len(set(sizes)) == 1, sizes
    kept = {key: len(memory.latest) for key, memory in tracker._memories.items()}
    assert kept == {1: min(memory_frames, 8), 2: 0}
    with_masks = ["maskmem_features" in entry for entry in tracker._memories[1].latest]
    assert sum(with_masks) == min(memory_frames, 4)
    assert with_masks[-1]


@real
def test_half_precision_runs(options):
    tracker = loading.load_tracker(replace(options, precision="bfloat16"))
    exact = loading.load_tracker(options)
    for number in range(4):
        guesses = []
        for one in (tracker, exact):
            one.show(image(number))
            guesses.append(one.follow(1) if number else one.point(1, 0.5, 0.5))
            one.remember(1)
        assert guesses[0].look.dtype == np.float64
        assert abs(guesses[0].iou - guesses[1].iou) < 0.05


@real
def test_backend_runs_on_the_real_model(options):
    """Random weights make masks without meaning; what is made of them still keeps the contract."""
    backend = SEGMENTERS.get("sam2")(replace(options, unlike_look=2.0, min_iou=0.0))
    assert isinstance(backend, Sam2Segmenter)
    prompts = [
        (Role.TARGET, "red block", (0.40, 0.1, 0.04)),
        (Role.GOAL, "blue plate", (0.5, -0.1, 0.012)),
        (Role.AVOID, "green block", (0.6, 0.15, 0.04)),
    ]
    frame, _ = picture(BOXES)
    segments = backend.reset(plan_for(frame, *prompts), frame, robot_at(0.0))
    for number in range(1, 4):
        assert [s.id for s in segments.segments] == [1, 2, 3]
        assert [str(s.role) for s in segments.segments] == ["target", "goal", "avoid"]
        assert segments.mask.shape == frame.depth.shape
        assert segments.mask.dtype == np.uint8
        assert segments.mask.max() <= 3
        for segment in segments.segments:
            assert 0.0 <= segment.health <= 1.0
            assert np.isfinite([*segment.centroid, *segment.size, segment.yaw]).all()
        later = replace(frame, stamp=number / 5)
        segments = backend.track(later, robot_at(later.stamp))
        assert segments.stamp == later.stamp
    new = replace(plan_for(later, prompts[1]), plan_id="plan-2")
    segments = backend.reset(new, later, robot_at(later.stamp))
    assert (segments.plan_id, len(segments.segments)) == ("plan-2", 1)


def wrong(options, **values):
    with pytest.raises(ConfigError) as caught:
        loading.load_tracker(replace(options, **values))
    return str(caught.value)


@real
def test_checkpoint_that_is_missing_broken_or_of_another_model(options, files, tmp_path):
    import torch

    assert "nowhere.pt' is not a file" in wrong(options, checkpoint="nowhere.pt")
    assert "sam2.1_hiera_tiny.pt" in wrong(options, checkpoint="")
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"not a checkpoint")
    assert "broken.pt' cannot be read" in wrong(options, checkpoint=str(broken))
    short = tmp_path / "short.pt"
    short.write_bytes(files[1].read_bytes()[:5000])
    assert "short.pt' cannot be read" in wrong(options, checkpoint=str(short))
    bare = tmp_path / "bare.pt"
    torch.save({"weights": {}}, bare)
    assert "under 'model'" in wrong(options, checkpoint=str(bare))
    torch.save([1, 2], bare)
    assert "under 'model'" in wrong(options, checkpoint=str(bare))
    other = torch.load(files[1], weights_only=True)
    other["model"].popitem()
    torch.save(other, bare)
    text = wrong(options, checkpoint=str(bare))
    assert "does not fit model_config" in text
    assert "Missing key" in text
    # One with a released name says what it belongs to.
    released = tmp_path / "sam2.1_hiera_small.pt"
    torch.save(other, released)
    text = wrong(options, checkpoint=str(released))
    assert "It belongs to model_config 'sam2.1_hiera_s'" in text


@real
def test_code_in_a_checkpoint_is_not_run(options, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("was_here").touch, ())

    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps({"model": Evil()}))
    assert "cannot be read" in wrong(options, checkpoint=str(path))
    assert not (tmp_path / "was_here").exists()


@real
def test_configuration_that_is_missing_unknown_or_no_model(options, tmp_path):
    assert "sam2.1_hiera_t" in wrong(options, model_config="sam2.1_hiera_tt")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'sam2\.1_hiera_t'"):
        loading.load_tracker(replace(options, model_config="sam2.1_hiera_tiny"))
    assert "is not a file" in wrong(options, model_config="nowhere.yaml")
    assert "'tiny.pt' is not the name of a released" in wrong(options, model_config="")
    path = tmp_path / "config.yaml"
    for text, part in (
        ("model: [", "not valid YAML"),
        ("other: 1", "no section 'model'"),
        ("model: {image_size: 100}", "not a multiple of 32"),
        ("model: {_target_: os.system, image_size: 64}", "asks for 'os.system'"),
        ("model: {image_encoder: {_target_: sam2.modeling.sam2_base.Nothing}}", "makes no model"),
        ("model: {image_size: 64, num_maskmem: '${nowhere}'}", "makes no model"),
    ):
        path.write_text(text)
        assert part in wrong(options, model_config=str(path), image_size=0), text


@real
def test_image_size_and_device_are_checked(options):
    assert "100 is not a multiple of 32" in wrong(options, image_size=100)
    assert "Valid: auto, cpu, cuda" in wrong(options, device="gpu")
    import torch

    if not torch.cuda.is_available():
        assert "no GPU" in wrong(options, device="cuda:0")
    assert loading.load_tracker(replace(options, image_size=0))._model.image_size == 128
    assert loading.load_tracker(options)._model.image_size == 64


@real
def test_model_that_can_be_built_but_not_run(tmp_path):
    """Attention over the whole image in a block that also halves it: sam2 divides by zero."""
    from tiny_sam2 import make

    config, checkpoint = make(tmp_path, change=("global_att_blocks: [3]", "global_att_blocks: [2]"))
    options = Sam2Options(checkpoint=str(checkpoint), model_config=str(config), image_size=64)
    with pytest.raises(ConfigError, match="cannot track: ZeroDivisionError"):
        loading.load_tracker(options)


@real
def test_names_of_the_package_are_known():
    shipped = loading.shipped_configs()
    assert shipped["sam2.1_hiera_t"] == "configs/sam2.1/sam2.1_hiera_t.yaml"
    assert "sam2_hiera_b+" in shipped
    assert not any("finetune" in name for name in shipped)


def test_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, tmp_path):
    found = importlib.util.find_spec
    gone = {"sam2", "hydra"}
    monkeypatch.setattr(
        loading.importlib.util, "find_spec", lambda name: None if name in gone else found(name)
    )
    with pytest.raises(ConfigError) as caught:
        Sam2Segmenter(Sam2Options())
    assert "'sam2' needs hydra-core, sam2" in str(caught.value)
    assert "pip install hydra-core" in str(caught.value)
    assert loading.INSTALL in str(caught.value)


def test_options_are_checked():
    assert SEGMENTERS.get("sam2") is Sam2Segmenter
    with pytest.raises(UnknownNameError, match="checkpoint"):
        from_mapping(Sam2Options, {"chekpoint": "x"})
    with pytest.raises(ConfigError, match="memory_frames"):
        from_mapping(Sam2Options, {"memory_frames": 0})
    with pytest.raises(ConfigError, match="precision"):
        from_mapping(Sam2Options, {"precision": "float16"})
