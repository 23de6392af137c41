"""Each kind of job names its actor, which only a worker loads, and the row of a crashed user."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.facts import embedder_facts, predictor_facts
from tweetprofile.engines.jobs import EmbedJob, ExamineJob, ExtractJob, Job, PredictJob, imported
from tweetprofile.job import FrameSize, PredictorOptions, WorkerFacts

OPTIONS = PredictorOptions(decoder="pillow")
WORKER = WorkerFacts(device="cpu", decoder="pillow", batch_size=4, cuda_devices=0)
PREDICTOR = predictor_facts()


@pytest.fixture(
    params=[
        (PredictJob(Path("model.safetensors"), options=OPTIONS), PREDICTOR),
        (EmbedJob(Path("model.safetensors"), None, options=OPTIONS), embedder_facts()),
        (ExtractJob(FrameSize(3, 8, 8), options=OPTIONS), WORKER),
        (ExamineJob(FrameSize(3, 16, 16), options=OPTIONS), WORKER),
    ],
    ids=["predict", "embed", "extract", "examine"],
)
def job_and_facts(request: pytest.FixtureRequest) -> tuple[Job[Any], WorkerFacts]:
    job, facts = request.param
    return job, facts


def test_a_job_names_an_actor_that_exists(job_and_facts: tuple[Job[Any], WorkerFacts]) -> None:
    job, _ = job_and_facts
    assert callable(imported(job.actor))


def test_the_row_of_a_crashed_user_has_its_status_and_counts_the_images(
    job_and_facts: tuple[Job[Any], WorkerFacts],
) -> None:
    job, facts = job_and_facts
    (row,) = job.crashed_row(facts, 7).to_pylist()
    assert (row["status"], row["images_given"], row["frames_used"]) == ("crashed", 7, 0)


@pytest.mark.parametrize("kind", [PredictJob, EmbedJob])
def test_a_job_for_other_machines_does_not_depend_on_the_current_folder(
    kind: type[PredictJob] | type[EmbedJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = PredictorOptions(Path("images"), embedding_cache=Path("known"))
    model = Path("model.safetensors")
    here = (
        PredictJob(model, options=options)
        if kind is PredictJob
        else EmbedJob(model, 3, options=options)
    )
    there = here.absolute()
    assert there.options.image_root == tmp_path / "images"
    assert there.options.embedding_cache == tmp_path / "known"
    loaded = there.checkpoint if isinstance(there, PredictJob) else there.backbone
    assert loaded == tmp_path / "model.safetensors"


def test_a_supervisor_that_knows_all_jobs_has_loaded_neither_torch_nor_a_decoder() -> None:
    program = (
        "import sys, tweetprofile.predicting.run, tweetprofile.engines.jobs\n"
        "print(*{'torch', 'PIL', 'nvidia', 'simplejpeg'} & sys.modules.keys())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
