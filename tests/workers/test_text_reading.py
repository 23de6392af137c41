"""Users are predicted by what there is of them: images, texts, both, or nothing."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tests.text_users import save_text_model
from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.errors import OptionError
from tweetprofile.job import PredictorOptions
from tweetprofile.traits import PRESETS
from tweetprofile.workers.predictor import Predictor
from tweetprofile.workers.profiles import Status, crashed_profile

TEXTS = ("el sol sale", "la luna canta", " ", "")


@pytest.fixture
def text_model(tmp_path: Path) -> Path:
    return save_text_model(tmp_path / "model.safetensors", TEXTS)


@pytest.fixture
def four_users(good_images: dict[str, bytes]) -> list[UserImages]:
    images = (ImageRef(data=next(iter(good_images.values()))),)
    return [
        UserImages("both", images, texts=TEXTS, texts_left_out=3, texts_cut=1),
        UserImages("images", images),
        UserImages("texts", (), texts=TEXTS),
        UserImages("neither", ()),
    ]


def predict(model: Path, users: list[UserImages], **options: object) -> pa.Table:
    chosen = PredictorOptions(device="cpu", precision="fp32", **options)  # type: ignore[arg-type]
    return Predictor(load_checkpoint(model), chosen)(users)


def test_each_user_is_predicted_by_what_there_is(
    text_model: Path, four_users: list[UserImages]
) -> None:
    rows = predict(text_model, four_users, parts=True)
    both, images, texts, neither = rows.to_pylist()
    assert both["gender_probabilities"] not in (
        both["gender_images_probabilities"],
        both["gender_texts_probabilities"],
    )
    assert images["gender_probabilities"] == images["gender_images_probabilities"]
    assert images["gender_texts_probabilities"] is None
    assert texts["gender_probabilities"] == texts["gender_texts_probabilities"]
    assert texts["gender_images_probabilities"] is None
    assert neither["gender"] is neither["gender_probabilities"] is None
    assert rows["status"].to_pylist() == ["ok", "ok", "no_images", "no_images"]


def test_texts_are_counted(text_model: Path, four_users: list[UserImages]) -> None:
    rows = predict(text_model, four_users)
    assert rows["texts_used"].to_pylist() == [2, 0, 2, 0]  # two of the four say nothing
    assert rows["texts_given"].to_pylist() == [7, 0, 4, 0]
    assert rows["texts_cut"].to_pylist() == [1, 0, 0, 0]


def test_the_parts_are_only_written_on_request(
    text_model: Path, four_users: list[UserImages]
) -> None:
    assert "gender_texts_probabilities" not in predict(text_model, four_users).column_names


def test_the_texts_of_others_change_no_bit(text_model: Path, four_users: list[UserImages]) -> None:
    together = predict(text_model, four_users)
    others = [four_users[0], *(replace(user, texts=("otra cosa",)) for user in four_users[1:])]
    assert predict(text_model, others).slice(0, 1) == together.slice(0, 1)


def test_a_model_of_texts_alone_does_not_look_at_images(
    tmp_path: Path, four_users: list[UserImages]
) -> None:
    model = save_text_model(tmp_path / "texts.safetensors", TEXTS, images=False)
    broken = [
        replace(user, images=(ImageRef(data=b"?"),) * len(user.images)) for user in four_users
    ]
    rows = predict(model, broken)
    assert rows["status"].to_pylist() == ["ok", "no_texts", "ok", "no_texts"]
    assert rows["images_given"].to_pylist() == [1, 1, 0, 0]
    assert rows["images_failed"].to_pylist() == [0, 0, 0, 0]
    assert rows["gender"].null_count == 2


def test_a_model_of_texts_alone_takes_more_users_at_once(tmp_path: Path, model: Path) -> None:
    texts = save_text_model(tmp_path / "texts.safetensors", TEXTS, images=False)
    usual, more = (
        Predictor(load_checkpoint(each), PredictorOptions(device="cpu")).facts.batch_size
        for each in (model, texts)
    )
    assert more > usual


def test_a_model_of_images_alone_ignores_texts(model: Path, four_users: list[UserImages]) -> None:
    without = [replace(user, texts=()) for user in four_users]
    assert predict(model, four_users) == predict(model, without)


@pytest.mark.parametrize("images", [True, False])
def test_parts_are_refused_where_there_is_one(
    tmp_path: Path, model: Path, images: bool, four_users: list[UserImages]
) -> None:
    if not images:
        model = save_text_model(tmp_path / "texts.safetensors", TEXTS, images=False)
    with pytest.raises(OptionError, match="`parts` is for models of images and texts"):
        predict(model, four_users, parts=True)


@pytest.mark.parametrize("option", ["clips", "views", "orders"])
def test_options_of_images_are_refused_for_a_model_of_texts(
    tmp_path: Path, four_users: list[UserImages], option: str
) -> None:
    model = save_text_model(tmp_path / "texts.safetensors", TEXTS, images=False)
    with pytest.raises(OptionError, match=f"`{option}` is 2"):
        predict(model, four_users, **{option: 2})


def test_the_row_of_a_crash_has_the_columns_of_every_row(
    text_model: Path, four_users: list[UserImages]
) -> None:
    rows = predict(text_model, four_users, parts=True)
    crashed = crashed_profile(
        PRESETS["mex-a3t-2019"], "ada", 3, texts=True, parts=("images", "texts")
    )
    assert crashed.schema == rows.schema
    assert crashed["status"].to_pylist() == [Status.CRASHED]
    assert crashed["texts_used"].to_pylist() == [None]
