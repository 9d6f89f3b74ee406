"""`python -m libtorch_ffi`: the same as the command `libtorch-ffi`."""

import sys

from libtorch_ffi.cli import main

sys.exit(main())
