"""``python -m gossamer`` is the command ``gossamer``."""

import sys

from .cli import main

sys.exit(main())
