# SPDX-License-Identifier: Apache-2.0
"""Runs a command that is sent a signal at a moment that does not depend on time: interrupt.py SIGNAL COMMAND...

Its standard error is a full pipe, so that it waits in its last progress line, which comes before the step that cannot be taken back.
The signal is sent once the command is ready for it; then the pipe is emptied. Prints the exit code and the last line of standard error.
"""
import os
import signal
import subprocess
import sys

number = getattr(signal, sys.argv[1])
read_end, write_end = os.pipe()
os.set_blocking(write_end, False)
filled = 0
try:
    while True:
        filled += os.write(write_end, b"." * 4096)
except BlockingIOError:
    pass
os.set_blocking(write_end, True)
command = subprocess.Popen(sys.argv[2:], stderr=write_end, stdout=subprocess.DEVNULL)
os.close(write_end)
caught = 0
while not caught >> (number - 1) & 1:
    with open(f"/proc/{command.pid}/status", encoding="ascii") as status:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    caught = int(lines.get("SigCgt", "0"), 16)
    if lines["State"].startswith("Z"):
        sys.exit("it ended before it was ready for the signal")
command.send_signal(number)
with os.fdopen(read_end, "rb") as pipe:
    said = pipe.read()[filled:].decode().splitlines()
print(command.wait(), said[-1] if said else "")
