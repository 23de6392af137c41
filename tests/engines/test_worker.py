"""A worker, made in this process: which device it takes, and how many threads."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.text_users import save_text_model
from tweetprofile.engines.jobs import PredictJob
from tweetprofile.engines.shared_progress import SharedProgress, create_shared_memory
from tweetprofile.engines.worker import Worker
from tweetprofile.job import PredictorOptions


def test_texts_alone_are_read_on_processors_although_there_is_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # a worker changes it
    model = save_text_model(tmp_path / "texts.safetensors", ["el sol sale"], images=False)
    job = PredictJob(
        model, options=PredictorOptions(device="auto"), processors=8, most_small_workers=8
    )
    memory = create_shared_memory()
    worker = Worker(job, lambda message: None, SharedProgress(memory))
    os.close(memory)
    torch.set_num_threads(threads)
    assert worker.ready.facts.device == "cpu"
    assert worker.ready.facts.workers_on_cpu(8, 8) == 8
    assert worker.ready.compute_slots == 1  # its share of the processors
