"""A process beside each rank that outlives it. Nobody else can say that a rank was killed: the launcher then kills all.

    python watch.py LAUNCHER SENTENCE

Waits on standard input for what its rank has to say: "!" is a farewell, a longer text a last sentence, and nothing
means that the rank was killed: then SENTENCE is the text. The first on a machine to speak for the launcher with this
process number holds a name among Linux's abstract sockets for some seconds. Later ones find it taken and are silent;
their ranks wait to be ended by the launcher, so that it does not stop before it has read the first one's sentence.
"""

import array
import errno
import fcntl
import os
import socket
import sys
import termios
import time

HOLD = 4            # seconds: longer than a launcher takes to end the other ranks
READ = 1            # seconds in which a launcher reads what was written


def main(launcher, sentence):
    text = sys.stdin.buffer.read() or sentence.encode()
    if text == b"!":
        return
    with socket.socket(socket.AF_UNIX) as name:
        if is_first(name, launcher):
            os.write(2, text + b"\n")
            written = time.monotonic()
            while unread(2) and time.monotonic() < written + READ:
                time.sleep(0.01)
            os.close(1)                         # the rank waits until this has spoken
        os.close(2)                             # the launcher waits until nobody can write any more
        time.sleep(HOLD)


def is_first(name, launcher):
    try:
        name.bind(f"\0ranks of {launcher}")
    except OSError as error:
        return error.errno != errno.EADDRINUSE  # (not Linux: then each speaks)
    return True


def unread(pipe):
    """→ how many bytes of a pipe its reader has not taken yet; 0 if it is none."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(pipe, termios.FIONREAD, count)
    except OSError:
        return 0
    return count[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
