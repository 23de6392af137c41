"""Which differences between a page and what a command prints count, and which do not."""

import pytest

from tests.docs.transcripts import WIDTH, differences

PRINTED = """\
28 users of labelled.parquet, in 2.5 s
gender: accuracy 0.50, macro-F1 0.33
location: accuracy 0.25, macro-F1 0.20
trained on 28 users; kept epoch 1 -> run/model.safetensors
"""


@pytest.mark.parametrize(
    "page",
    [
        [],
        PRINTED.splitlines(),
        ["28 users of labelled.parquet,", "in 31 s", "..."],
        ["...", "gender: accuracy 0.71, macro-F1 0.64", "..."],
        ["28 users of labelled.parquet, in 2.5 s", "...", "trained on 28 users; kept epoch 1 ->",
         "run/model.safetensors"],
    ],
)  # fmt: skip
def test_lines_may_be_left_out_and_figures_and_times_may_differ(page: list[str]) -> None:
    assert differences(page, PRINTED) is None


@pytest.mark.parametrize(
    "page",
    [
        ["28 users of labelled.parquet, in 2.5 s"],
        ["gender: accuracy 0.50, macro-F1 0.33", "..."],
        ["...", "trained on 27 users; kept epoch 1 -> run/model.safetensors"],
        ["...", "gender: precision 0.50, macro-F1 0.33", "..."],
        ["...", "location: accuracy 0.25, macro-F1 0.20", "...", "gender: accuracy 0.50", "..."],
        ["...", "trained on 28 users; kept epoch 1 -> run/model.safetensors", "done"],
        ["x" * (WIDTH + 1)],
    ],
)
def test_words_counts_and_the_order_of_lines_must_be_right(page: list[str]) -> None:
    assert differences(page, PRINTED) is not None
