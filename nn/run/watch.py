"""A process beside each rank that outlives it. Nobody else can say that a rank was killed: the launcher then kills all.

    python watch.py LAUNCHER SENTENCE

Waits on standard input for what its rank has to say: "!" is a farewell, a longer text a last sentence, and nothing
means that the rank was killed: then SENTENCE is the text. The first on a machine to speak for the launcher with this
process number holds a name among Linux's abstract sockets for some seconds. Later ones, whose ranks the launcher has
ended, find it taken and are silent.
"""

import os
import socket
import sys
import time

HOLD = 4            # seconds: longer than a launcher takes to end the other ranks


def main(launcher, sentence):
    text = sys.stdin.buffer.read() or sentence.encode()
    if text == b"!":
        return
    with socket.socket(socket.AF_UNIX) as first:
        try:
            first.bind(f"\0ranks of {launcher}")
        except OSError:
            return
        os.write(2, text + b"\n")
        os.close(2)                         # the launcher waits until nobody can write any more
        os.close(1)                         # and the rank until this has spoken
        time.sleep(HOLD)


if __name__ == "__main__":
    main(*sys.argv[1:])
