"""The demo's goals: at most 3 minutes on two cores, and at least 6 dB SDR above the mixture on an unseen song.

Exits 1 if the score is missed. The time is printed beside its goal; machines differ, so it fails nothing.
"""

import argparse
import json
import subprocess
import sys
from time import perf_counter

GOAL_DB = 6.0
GOAL_SECONDS = 180.0


def main() -> int:
    """Run the demo as a user does and print what it reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output-dir", default="sepkit-demo")
    output = parser.parse_args().output_dir
    started = perf_counter()
    command = [sys.executable, "-m", "sepkit", "demo", "--output-dir", output, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds = perf_counter() - started
    rows = json.loads(done.stdout)["evaluation"]["medians"]
    sdr = {row["estimate"]: row["median"] for row in rows if (row["stem"], row["metric"]) == ("vocals", "sdr")}
    gain = sdr["demo"] - sdr["mixture"]
    print(f"vocals {sdr['demo']:.2f} dB, mixture {sdr['mixture']:.2f} dB, gain {gain:.2f} dB (goal {GOAL_DB:g})")
    print(f"whole process {seconds:.0f} s (goal {GOAL_SECONDS:.0f} s on two cores)")
    return int(gain < GOAL_DB)


if __name__ == "__main__":
    sys.exit(main())
