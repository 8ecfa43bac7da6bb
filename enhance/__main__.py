"""`python -m enhance` and `accelerate launch -m enhance`."""

import sys

from enhance.cli import main

if __name__ == "__main__":
    sys.exit(main())
