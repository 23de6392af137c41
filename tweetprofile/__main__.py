"""Runs the command line for `python -m tweetprofile`."""

import sys

from tweetprofile.cli import main

sys.exit(main())
