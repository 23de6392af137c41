"""The prediction of a user depends on the images of that user alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tweetprofile.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.errors import OptionError
from tweetprofile.job import PredictorOptions
from tweetprofile.networks import build_network, network_spec
from tweetprofile.stages import Stage
from tweetprofile.traits import PRESETS
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.volumes.stacking import draw_orders
from tweetprofile.volumes.views import VIEWS
from tweetprofile.workers.predictor import Predictor


@pytest.fixture
def users(dump: Path) -> list[UserImages]:
    shard = next(Manifest.open(dump / "test.parquet").shards(1000))
    return shard.users


def predict(model: Path, root: Path, users: list[UserImages], **options: object) -> pa.Table:
    usual = {"image_root": root, "precision": "fp32", "device": "cpu"}
    chosen = PredictorOptions(**(usual | options))  # type: ignore[arg-type]
    return Predictor(load_checkpoint(model), chosen)(users)


def probabilities(profiles: pa.Table, trait: str) -> NDArray[np.float32]:
    rows = [row for row in profiles[f"{trait}_probabilities"].to_pylist() if row]
    return np.array([list(row.values()) for row in rows], dtype=np.float32)


def same_except_for_rounding(one: pa.Table, other: pa.Table, tolerance: float) -> bool:
    return all(
        np.abs(probabilities(one, trait) - probabilities(other, trait)).max() <= tolerance
        for trait in ("gender", "location", "occupation")
    )


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_size_changes_no_prediction(
    model: Path, dump: Path, users: list[UserImages], batch_size: int
) -> None:
    reference = predict(model, dump, users, batch_size=8)
    other = predict(model, dump, users, batch_size=batch_size)
    assert same_except_for_rounding(reference, other, 1e-4)
    assert reference["image_errors"] == other["image_errors"]


def test_other_users_of_the_batch_change_no_prediction(
    model: Path, dump: Path, users: list[UserImages]
) -> None:
    together = predict(model, dump, users)
    alone = pa.concat_tables([predict(model, dump, [user]) for user in users])
    assert same_except_for_rounding(together, alone, 1e-4)


@pytest.mark.parametrize("harm", [b"", b"<html>404</html>", b"\xff\xd8\xff\xe0 cut"])
def test_the_images_of_other_users_do_not_change_a_single_bit(
    model: Path, dump: Path, users: list[UserImages], harm: bytes
) -> None:
    together = predict(model, dump, users)
    for position, user in enumerate(users):
        harmed = UserImages(user.user_id, tuple(ImageRef(data=harm) for _ in user.images))
        others = [*users[:position], harmed, *users[position + 1 :]]
        profiles = predict(model, dump, others)
        assert profiles.slice(0, position) == together.slice(0, position)
        assert profiles.slice(position + 1) == together.slice(position + 1)


def test_dali_and_pillow_agree(model: Path, dump: Path, users: list[UserImages]) -> None:
    pytest.importorskip("nvidia.dali", reason="DALI is for Linux")
    by_pillow = predict(model, dump, users, decoder="pillow")
    by_dali = predict(model, dump, users, decoder="dali")
    assert by_pillow["status"] == by_dali["status"]
    assert by_pillow["image_errors"] == by_dali["image_errors"]
    assert same_except_for_rounding(by_pillow, by_dali, 0.05)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_stays_close_to_fp32(
    model: Path, dump: Path, users: list[UserImages], precision: str
) -> None:
    options = PredictorOptions(image_root=dump, precision=precision, device="cpu")  # type: ignore[arg-type]
    predictor = Predictor(load_checkpoint(model), options)
    assert predictor.facts.precision == precision
    assert same_except_for_rounding(predict(model, dump, users), predictor(users), 0.02)


def test_a_predictor_reports_its_seconds_per_stage(
    model: Path, dump: Path, users: list[UserImages]
) -> None:
    predictor = Predictor(load_checkpoint(model), PredictorOptions(dump, device="cpu"))
    predictor(users)
    seconds = predictor.take_seconds()
    assert set(seconds) == {Stage.READ, Stage.DECODE, Stage.STACK, Stage.FORWARD, Stage.PROFILE}
    assert predictor.take_seconds() == {}


def test_a_batch_without_frames_does_not_reach_the_network(model: Path, dump: Path) -> None:
    predictor = Predictor(load_checkpoint(model), PredictorOptions(dump, device="cpu"))
    nobody = [UserImages(f"user-{number}", (ImageRef("missing.jpg"),)) for number in range(5)]
    profiles = predictor(nobody)
    assert profiles["status"].to_pylist() == ["unusable"] * 5
    assert profiles["gender_probabilities"].null_count == 5
    assert Stage.FORWARD not in predictor.take_seconds()


@pytest.mark.gpu
def test_gpu_and_cpu_agree(model: Path, dump: Path, users: list[UserImages]) -> None:
    on_cpu = predict(model, dump, users, decoder="pillow")
    for decoder in ("pillow", "dali"):
        on_gpu = predict(model, dump, users, decoder=decoder, device="cuda")
        assert same_except_for_rounding(on_cpu, on_gpu, 0.02)


@pytest.mark.gpu
@pytest.mark.parametrize("averaged", [{"clips": 3}, {"orders": 3}, {"views": 4}])
def test_gpu_and_cpu_agree_on_the_mean_over_clips_orders_and_views(
    model: Path, dump: Path, users: list[UserImages], averaged: dict[str, int]
) -> None:
    on_cpu = predict(model, dump, users, decoder="pillow", **averaged)
    on_gpu = predict(model, dump, users, decoder="pillow", device="cuda", **averaged)
    assert same_except_for_rounding(on_cpu, on_gpu, 0.02)


@pytest.mark.gpu
@pytest.mark.parametrize("decoder", ["pillow", "dali"])
def test_two_runs_on_a_gpu_are_equal_to_the_bit(
    model: Path, dump: Path, users: list[UserImages], decoder: str
) -> None:
    first = predict(model, dump, users, decoder=decoder, device="cuda", precision="auto")
    again = predict(model, dump, users, decoder=decoder, device="cuda", precision="auto")
    assert first == again


@pytest.mark.gpu
@pytest.mark.parametrize("decoder", ["pillow", "dali"])
@pytest.mark.parametrize("harm", [b"", b"\xff\xd8\xff\xe0 cut"])
def test_on_a_gpu_the_images_of_other_users_do_not_change_a_single_bit_either(
    model: Path, dump: Path, users: list[UserImages], decoder: str, harm: bytes
) -> None:
    """A user without a single frame is beside the others."""
    together = predict(model, dump, users, decoder=decoder, device="cuda")
    harmed = UserImages(users[0].user_id, tuple(ImageRef(data=harm) for _ in users[0].images))
    others = predict(model, dump, [harmed, *users[1:]], decoder=decoder, device="cuda")
    assert others["frames_used"][0].as_py() == 0
    assert others.slice(1) == together.slice(1)


@pytest.mark.gpu
def test_a_batch_that_a_gpu_has_no_memory_for_is_refused_with_a_smaller_one(
    model: Path, dump: Path, users: list[UserImages]
) -> None:
    chosen = PredictorOptions(dump, "cuda", "pillow", "fp32", batch_size=256)
    predictor = Predictor(load_checkpoint(model), chosen)
    torch.cuda.empty_cache()
    free = torch.cuda.memory_reserved() / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(free)
    try:
        with pytest.raises(OptionError, match=r"the GPU has too little .* `batch_size=128`"):
            predictor(users * (256 // len(users)))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_probabilities_sum_to_one_and_the_class_is_the_most_probable(
    model: Path, dump: Path, users: list[UserImages]
) -> None:
    profiles = predict(model, dump, users)
    for row in profiles.to_pylist():
        if not row["frames_used"]:
            continue
        each = row["occupation_probabilities"]
        assert sum(each.values()) == pytest.approx(1.0, abs=1e-5)
        assert each[row["occupation"]] == max(each.values()) == row["occupation_confidence"]


def test_a_user_without_usable_images_gets_a_row_of_nulls(model: Path, dump: Path) -> None:
    (row,) = predict(model, dump, [UserImages("nobody", ())]).to_pylist()
    assert (row["user_id"], row["status"], row["frames_used"]) == ("nobody", "no_images", 0)
    assert row["gender"] is row["gender_confidence"] is row["gender_probabilities"] is None


def test_no_users_give_an_empty_table(model: Path, dump: Path) -> None:
    assert len(predict(model, dump, [])) == 0


def test_a_missing_image_root_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"image root .*nowhere is not a folder"):
        Predictor(load_checkpoint(model), PredictorOptions(image_root=tmp_path / "nowhere"))


def test_the_predictor_runs_the_network_of_the_checkpoint(
    model: Path, dump: Path, users: list[UserImages]
) -> None:
    """Decoding, stacking and normalising by hand give the same probabilities as the predictor."""
    from tweetprofile.data.images.reader import ImageReader
    from tweetprofile.decoders import DecodeOptions, make_decoder
    from tweetprofile.volumes.stacking import stack_volumes
    from tweetprofile.workers.frames import FrameLoader

    checkpoint = load_checkpoint(model)
    spec = checkpoint.volume_spec
    decoder = make_decoder("pillow", DecodeOptions(spec.height, spec.width), torch.device("cpu"))
    loaded = FrameLoader(ImageReader(dump), decoder, spec.frame_size()).load(users)
    frames = [user.frames_FHWC for user in loaded if len(user.frames_FHWC)]
    logits = checkpoint.network(spec.normalise(stack_volumes(frames, spec)))
    by_hand = logits["gender"].softmax(1).numpy()
    assert np.allclose(by_hand, probabilities(predict(model, dump, users), "gender"), atol=1e-4)


@pytest.fixture
def collector(draw: Callable[..., Image.Image], encode: Callable[..., bytes]) -> UserImages:
    """Make a user with 25 images: two volumes and a remainder."""
    images = (encode(draw(40, 40, number), "PNG") for number in range(25))
    return UserImages("collector", tuple(ImageRef(data=image) for image in images))


def test_clips_give_the_mean_over_volumes_of_all_images_of_a_user(
    model: Path, collector: UserImages
) -> None:
    (found,) = predict(model, Path(), [collector], clips=3).to_pylist()
    assert found["frames_used"] == 25
    parts = [UserImages("part", collector.images[start::3]) for start in range(3)]
    each = probabilities(predict(model, Path(), parts), "location")
    assert np.allclose(list(found["location_probabilities"].values()), each.mean(0), atol=1e-5)


def test_clips_change_nothing_for_users_with_no_more_images_than_a_volume(
    model: Path, dump: Path, users: list[UserImages]
) -> None:
    short = [user for user in users if len(user.images) <= 11]
    once, thrice = predict(model, dump, short), predict(model, dump, short, clips=3)
    assert same_except_for_rounding(once, thrice, 1e-6)


def test_the_images_of_other_users_do_not_change_a_single_bit_with_clips_either(
    model: Path, dump: Path, users: list[UserImages], collector: UserImages
) -> None:
    together = predict(model, dump, [*users, collector], clips=3)
    harmed = [UserImages(user.user_id, (ImageRef(data=b""),)) for user in users]
    assert predict(model, dump, [*harmed, collector], clips=3).slice(len(users)) == together.slice(
        len(users)
    )


def test_orders_give_the_mean_over_shuffled_volumes_and_are_always_the_same(
    model: Path, collector: UserImages
) -> None:
    short = UserImages("short", collector.images[:11])
    found = predict(model, Path(), [short], orders=4)
    assert found == predict(model, Path(), [short], orders=4)
    shuffled = [
        UserImages("short", tuple(short.images[index] for index in order.tolist()))
        for order in draw_orders(11, 4)
    ]
    each = probabilities(predict(model, Path(), shuffled), "location")
    assert np.allclose(probabilities(found, "location")[0], each.mean(0), atol=1e-5)
    assert np.abs(each - each[0]).max() > 1e-4, "the order does matter to model1"


def test_views_give_the_mean_over_mirrored_and_enlarged_frames(
    model: Path, dump: Path, users: list[UserImages]
) -> None:
    frames = torch.arange(2 * 3 * 5 * 10 * 20, dtype=torch.float32).reshape(2, 3, 5, 10, 20)
    mirrored, middle, both = (view.apply(frames) for view in VIEWS[1:])
    assert torch.equal(mirrored, frames.flip(4))
    assert middle.shape == frames.shape
    # The enlarged middle extends from the second row to the last but one.
    assert frames[0, 0, 0, 1, 2] <= middle[0, 0, 0, 0, 0] < frames[0, 0, 0, 1, 3]
    assert torch.equal(both, middle.flip(4))

    one, four = (predict(model, dump, users, views=views) for views in (1, 4))
    assert one["status"] == four["status"]
    assert not same_except_for_rounding(one, four, 1e-6)
    assert same_except_for_rounding(one, four, 0.5)


def test_a_mirrored_symmetric_picture_has_the_same_profile(
    model: Path, encode: Callable[..., bytes]
) -> None:
    grey = UserImages("grey", (ImageRef(data=encode(Image.new("RGB", (40, 40), "grey"), "PNG")),))
    one, four = (predict(model, Path(), [grey], views=views) for views in (1, 4))
    assert same_except_for_rounding(one, four, 1e-5)


def test_orders_are_refused_for_a_network_that_ignores_the_order(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    spec, volume = network_spec("deepset"), VolumeSpec(height=32, width=32)
    network = build_network(spec, volume, PRESETS["mex-a3t-2019"])
    save_checkpoint(path, network, {})
    with pytest.raises(
        OptionError, match=r"`orders` is 2, but deepset gives the same result in any order"
    ):
        predict(path, Path(), [], orders=2)


def test_a_temperature_flattens_probabilities_and_changes_no_class(
    model: Path, dump: Path, users: list[UserImages], tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(model)
    spec = network_spec("model1", norm="batch")
    network = build_network(spec, checkpoint.volume_spec, checkpoint.schema)
    network.load_state_dict(checkpoint.state)
    hot = tmp_path / "hot.safetensors"
    save_checkpoint(hot, network, {}, {"gender": 4.0})
    plain, flat = predict(model, dump, users), predict(hot, dump, users)
    assert plain["gender"] == flat["gender"]
    assert plain["location_probabilities"] == flat["location_probabilities"]
    odds = [np.log(probabilities(each, "gender")) @ [1, -1] for each in (plain, flat)]
    assert np.allclose(odds[0], 4 * odds[1], atol=1e-3)


@pytest.mark.parametrize("wrong", [{"clips": 0}, {"orders": 0}, {"clips": 10**6}, {"views": 3}])
def test_clips_orders_and_views_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError, match=r"must be (from 1 to 1000|1, 2 or 4)"):
        PredictorOptions(**wrong)  # type: ignore[arg-type]


class Greedy(torch.nn.Module):
    """A network that needs more memory than any machine has."""

    def forward(self, volumes: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"gender": torch.empty(len(volumes), 1 << 50)}


@pytest.mark.parametrize(
    ("batch_size", "fix"),
    [(8, r"8 users at a time; pass `batch_size=4`"), (1, r"let other programs free some")],
)
def test_a_batch_that_does_not_fit_into_memory_is_refused_with_a_smaller_one(
    model: Path, dump: Path, users: list[UserImages], batch_size: int, fix: str
) -> None:
    options = PredictorOptions(dump, device="cpu", batch_size=batch_size)
    predictor = Predictor(load_checkpoint(model), options)
    predictor._images._network = Greedy()  # type: ignore[assignment]
    with pytest.raises(OptionError, match=f"this machine has too little memory .*{fix}"):
        predictor(users)
