"""The steps, in order: what decides whether results are right comes first."""

from gpu_steps.work import Step

STEPS = (
    Step("inputs", "gpu_steps.inputs:draw", seconds=90, least=20),
    Step("machine", "gpu_steps.machine:describe", seconds=30, least=10),
    Step("tests", "gpu_steps.machine:run_tests", seconds=150, least=30),
    Step("frames", "gpu_steps.frames:check", seconds=75, least=20),
    Step("decoding", "gpu_steps.decoding:measure", seconds=80, least=30),
    Step("predict", "gpu_steps.predicting:measure", seconds=130, least=40),
    Step("same", "gpu_steps.predicting:compare_runs", seconds=60, least=25),
    Step("latency", "gpu_steps.predicting:measure_latency", seconds=60, least=20),
    Step("embedding", "gpu_steps.embedding:measure", seconds=100, least=40),
    Step("training", "gpu_steps.learning:measure", seconds=140, least=50),
    Step("two-workers", "gpu_steps.predicting:compare_devices", seconds=45, least=20),
    Step("two-ranks", "gpu_steps.learning:compare_ranks", seconds=70, least=30),
    Step("killed-rank", "gpu_steps.learning:kill_rank", seconds=110, least=40),
)
"""Their limits add up to more than ten minutes; most steps take half of theirs."""
