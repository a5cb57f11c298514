"""Batches made by CPU threads while the net computes on the previous one (§ 4.1)."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor


class Prefetch:
    """Iterate over make(start), make(start + 1), …, make(stop - 1), which `workers` threads make ahead of use.

    At most `ahead` batches (default: workers + 1) are made or in progress, so memory stays bounded if the reader is slow.
    Batches come in the order of their numbers. An exception in a thread is raised by the next() that would have
    returned its batch. workers=0 makes every batch when it is requested.

    Threads, not processes: decoding, subtracting and copying release Python's lock, so threads are as fast here
    (benchmarks/loader.py measures both). They pass arrays without copying, work with CUDA, and end with the program.
    """

    def __init__(self, make, start, stop, workers=2, ahead=None):
        self.make, self.numbers, self.workers = make, iter(range(start, stop)), workers
        self.ahead, self.waiting = ahead or workers + 1, deque()
        self.pool = ThreadPoolExecutor(workers, "prefetch") if workers else None

    def __iter__(self):
        return self

    def __next__(self):
        if not self.pool:
            return self.make(next(self.numbers))
        while len(self.waiting) < self.ahead and (number := next(self.numbers, None)) is not None:
            self.waiting.append(self.pool.submit(self.make, number))
        if not self.waiting:
            self.close()
            raise StopIteration
        return self.waiting.popleft().result()

    def close(self):
        """Drop the waiting batches and end the threads (each finishes its present batch). Ends the iteration."""
        self.numbers = iter(())
        self.waiting.clear()
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
