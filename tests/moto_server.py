"""A server that answers as S3 and IAM do, on a free port of this machine, for as long as the process that started it lives.

Prints its address; ends when its standard input is closed, and after 20 minutes in any case.
"""

import os
import sys
import threading

from moto.server import ThreadedMotoServer

timer = threading.Timer(1200, lambda: os._exit(1))
timer.daemon = True
timer.start()
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print(f"http://{host}:{port}", flush=True)
sys.stdin.read()
os._exit(0)
