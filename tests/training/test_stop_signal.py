"""The first signal is a wish, the second one ends the process."""

import signal
import subprocess
import sys
import time

import pytest

from sepkit.training.stop_signal import StopSignal, listening

WAITING = """
import time
from sepkit.training.stop_signal import StopSignal, listening
with listening() as stop:
    print("listening", flush=True)
    while not stop.came:
        time.sleep(0.01)
    print("came", stop.number, flush=True)
    while True:
        time.sleep(0.01)
"""


@pytest.mark.parametrize(("first", "second"), [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
def test_a_second_signal_ends_at_once_what_does_not_end(first, second):
    process = subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "listening\n"
        process.send_signal(first)
        assert process.stdout.readline() == f"came {int(first)}\n"
        assert process.poll() is None
        process.send_signal(second)  # at once: the same wish, sent to a whole group and again to each of it
        time.sleep(1.2)
        assert process.poll() is None
        process.send_signal(second)
        assert process.wait(10) == 128 + second


def test_a_signal_that_another_process_told_of_is_the_first_as_well():
    stop = StopSignal(speaks=False)
    stop.take_over(0)
    assert not stop.came
    stop.take_over(signal.SIGTERM)
    stop.receive(signal.SIGTERM, None)  # the same, a moment later: no reason to end at once
    stop.take_over(signal.SIGINT)
    assert stop.number == signal.SIGTERM


def test_who_handled_signals_before_handles_them_again():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyError), listening() as stop:  # noqa: PT012
        assert not stop.came
        raise KeyError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
