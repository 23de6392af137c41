"""Messages are wrapped at words for people, and stay whole lines for programs."""

import pytest

from tweetprofile.cli.console import SafeConsole

SENTENCE = "few held-out users have a label, so the scores may be far off"


@pytest.mark.parametrize("to_people", [True, False])
def test_lines_are_wrapped_at_words_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], *, to_people: bool
) -> None:
    console = SafeConsole(stderr=True, width=24, force_terminal=to_people, no_color=True)
    console.print(SENTENCE)
    lines = capsys.readouterr().err.splitlines()
    assert " ".join(line.strip() for line in lines) == SENTENCE
    assert (len(lines) > 1) is to_people


def test_a_name_is_whole_in_a_file_or_a_pipe_and_cut_on_a_terminal() -> None:
    assert SafeConsole().cut_name("political_orientation", 14) == "political_orientation"
    terminal = SafeConsole(force_terminal=True)
    assert terminal.cut_name("political_orientation", 14) == "political…tion"
    assert SafeConsole(width=80).cut_name("political_orientation", 14) == "political…tion"
