"""grpcio, of this Python or, where it has none, of the distribution's, which then runs the test instead."""
import os
import sys

try:
    import grpc
except ImportError:
    grpc = None
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])

LACK = "skipped: no grpcio (Debian's python3-grpcio)"
