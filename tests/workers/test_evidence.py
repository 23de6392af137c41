"""What images and texts contribute adds up to what is predicted of the user."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.random_models import save_head, save_network
from tests.text_users import save_text_model
from tests.workers.backbones import SCHEMA
from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.errors import OptionError
from tweetprofile.job import PredictorOptions
from tweetprofile.workers.predictor import Predictor
from tweetprofile.workers.profiles import crashed_profile

TEXTS = ("el sol sale", "la luna canta y canta", " ", "", "un monte de papel 🎻🎻")


def draw(seed: int) -> ImageRef:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return ImageRef(data=file.getvalue())


def user(name: str, *seeds: int, texts: tuple[str, ...] = ()) -> UserImages:
    return UserImages(name, tuple(map(draw, seeds)), texts=texts)


BROKEN = ImageRef(data=b"no image")
USERS = [
    user("many", *range(14)),
    user("one", 3),
    user("none"),
    UserImages("partial", (BROKEN, draw(5), BROKEN, draw(6))),
]


def explain(model: Path, users: list[UserImages]) -> list[dict[str, Any]]:
    options = PredictorOptions(device="cpu", precision="fp32", evidence=True)
    rows: list[dict[str, Any]] = Predictor(load_checkpoint(model), options)(users).to_pylist()
    return rows


def centred_logit(row: Mapping[str, Any], trait: str) -> float:
    logs = {name: np.log(p) for name, p in row[f"{trait}_probabilities"].items()}
    return float(logs[row[trait]] - np.mean(list(logs.values())))


def contributed(row: Mapping[str, Any], trait: str) -> float:
    each = [*row["evidence"], *row.get("text_evidence", []), *row.get("profile_evidence", [])]
    return float(sum(one["contributions"][trait] for one in each))


def assert_adds_up(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        for trait in SCHEMA.names if row["gender"] else ():
            found = row["evidence_base"][trait] + contributed(row, trait)
            assert found == pytest.approx(centred_logit(row, trait), abs=1e-4)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("name", ["deepset", "sum", "mean", "clusters"])
def test_contributions_add_up_to_the_logit_from_the_same_base_for_everybody(
    name: str, members: int, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save = save_network if name == "deepset" else save_head
    rows = explain(save(path, name, members), USERS)
    assert_adds_up(rows)
    # Of the predicted class, what is said before any image is the bias of the head.
    for trait in SCHEMA.names:
        bases: dict[str, list[float]] = {}
        for row in rows:
            if row[trait]:
                bases.setdefault(row[trait], []).append(row["evidence_base"][trait])
        assert all(np.ptp(each) < 1e-4 for each in bases.values())


def test_each_image_that_is_used_has_an_entry_with_its_position(tmp_path: Path) -> None:
    rows = explain(save_network(tmp_path / "model.safetensors", "deepset"), USERS)
    many, one, none, partial = ([each["index"] for each in row["evidence"]] for row in rows)
    assert len(many) == 11
    assert many[0] == 0
    assert many[-1] == 13
    assert one == [0]
    assert none == []
    assert partial == [1, 3]
    assert rows[2]["evidence_base"] is None


@pytest.mark.parametrize("name", ["model1", "attention", "topics"])
def test_networks_that_do_not_add_up_images_leave_one_out(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = save_network(path, name) if name == "model1" else save_head(path, name)
    whole, without = explain(model, [user("all", 1, 2, 3), user("less", 1, 3)])
    assert_adds_up([whole, without])
    for trait in SCHEMA.names:
        logs = {name: np.log(p) for name, p in without[f"{trait}_probabilities"].items()}
        centred = logs[whole[trait]] - np.mean(list(logs.values()))
        fall = centred_logit(whole, trait) - centred
        assert whole["evidence"][1]["contributions"][trait] == pytest.approx(fall, abs=1e-4)


def test_without_the_only_image_all_classes_are_equally_probable(tmp_path: Path) -> None:
    rows = explain(save_network(tmp_path / "model.safetensors", "model1"), [user("one", 1)])
    assert_adds_up(rows)
    assert rows[0]["evidence_base"]["gender"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("images", [True, False])
def test_texts_and_images_add_up_together(images: bool, tmp_path: Path) -> None:
    model = save_text_model(tmp_path / "model.safetensors", TEXTS, images=images)
    both = user("both", 1, 2, texts=TEXTS)
    rows = explain(model, [both, user("texts", texts=TEXTS), user("images", 1), user("none")])
    assert_adds_up(rows)
    assert [each["index"] for each in rows[0]["text_evidence"]] == [0, 1, 4]
    assert len(rows[0]["evidence"]) == (2 if images else 0)
    assert rows[3]["text_evidence"] == []
    base = rows[1]["evidence_base"]["gender"]
    less = explain(model, [user("texts", texts=TEXTS[:2])])[0]
    same = less["gender"] == rows[1]["gender"]
    assert abs(less["evidence_base"]["gender"]) == pytest.approx(abs(base), abs=1e-4)
    assert same == (np.sign(less["evidence_base"]["gender"]) == np.sign(base))


@pytest.mark.parametrize("images", [False, True])
def test_fields_of_profiles_add_up_with_texts_and_images(images: bool, tmp_path: Path) -> None:
    profile = {"name": "Ada Lara", "screen_name": "", "description": "la luna y el sol"}
    path = save_text_model(tmp_path / "m.safetensors", TEXTS, images=images, profile=profile)
    users = [
        replace(user("all", 1, 2, texts=TEXTS), profile=profile),
        replace(user("no texts", 1), profile={"name": "Ada"}),
        replace(user("fields"), profile=profile),
        user("no fields", 1, texts=TEXTS),
        replace(user("nothing"), profile={"name": "  "}),
    ]
    rows = explain(path, users)
    assert_adds_up(rows)
    fields = [[one["field"] for one in row["profile_evidence"]] for row in rows]
    assert fields == [["name", "description"], ["name"], ["name", "description"], [], []]
    assert [row["profile_fields_used"] for row in rows] == [2, 1, 2, 0, 0]
    assert rows[4]["gender"] is None


def test_positions_count_texts_beyond_the_limit(tmp_path: Path) -> None:
    model = save_text_model(tmp_path / "model.safetensors", TEXTS)
    late = UserImages("late", (), texts=TEXTS, texts_left_out=7)
    (row,) = explain(model, [late])
    assert [each["index"] for each in row["text_evidence"]] == [7, 8, 11]


@pytest.mark.parametrize("kind", ["deepset", "clusters", "texts"])
def test_evidence_changes_nothing_else(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    if kind == "texts":
        model = save_text_model(path, TEXTS)
    else:
        model = save_network(path, kind) if kind == "deepset" else save_head(path, "clusters", 2)
    users = [*USERS, user("writes", 1, texts=TEXTS)]
    plain = PredictorOptions(device="cpu", precision="fp32")
    table = Predictor(load_checkpoint(model), plain)(users)
    explained = pa.Table.from_pylist(explain(model, users))
    for name in table.column_names:
        assert table[name].to_pylist() == explained[name].to_pylist()


@pytest.mark.parametrize("passes", [{"views": 2}, {"clips": 2}, {"orders": 3}])
def test_averages_are_refused(passes: dict[str, int]) -> None:
    name = next(iter(passes))
    with pytest.raises(OptionError, match=f"`{name}` is .*`evidence` explains a single pass"):
        PredictorOptions(evidence=True, **passes)  # type: ignore[arg-type]


def test_a_user_who_crashed_a_worker_has_the_same_columns_and_no_evidence(tmp_path: Path) -> None:
    model = save_text_model(tmp_path / "model.safetensors", TEXTS, profile={"name": "Ada"})
    options = PredictorOptions(device="cpu", evidence=True)
    table = Predictor(load_checkpoint(model), options)([USERS[1]])
    row = crashed_profile(SCHEMA, "ada", 3, texts=True, profile=True, evidence=True)
    assert row.schema == table.schema
    for name in ("evidence", "text_evidence", "profile_evidence"):
        assert row[name].to_pylist() == [[]]
    assert row["profile_fields_used"].to_pylist() == [None]
    assert row["evidence_base"].to_pylist() == [None]


def test_what_images_and_texts_add_to_both_leaves_the_same_base_for_everybody(
    tmp_path: Path,
) -> None:
    model = save_text_model(tmp_path / "model.safetensors", TEXTS)
    users = [user(f"{seed}", seed, texts=TEXTS[seed % 3 :]) for seed in range(8)]
    bases: dict[tuple[str, str], list[float]] = {}
    for row in explain(model, users):
        for trait in SCHEMA.names:
            # Below 1e-6, fusion rounds the probabilities of a part.
            if min(row[f"{trait}_probabilities"].values()) > 1e-4:
                bases.setdefault((trait, row[trait]), []).append(row["evidence_base"][trait])
    assert max(map(len, bases.values())) > 3
    assert all(np.ptp(each) < 1e-4 for each in bases.values())
