"""`python -m rememberd` is the command `rememberd`."""

import sys

from rememberd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
