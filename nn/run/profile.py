"""The time of a step by stage and device, the bytes copied between devices, and memory."""

from collections import defaultdict
from contextlib import contextmanager


class Profile:
    """Collects spans of work; set `network.profile` to one.

    On a GPU a span is between two events in the device's own queue, so that measuring causes no wait. On the CPU
    jobs run in several threads at once: their times are added up and divided by the number of threads. Two towers on
    one card work at the same time, so their times overlap.
    """

    def __init__(self, network):
        self.network, self.spans = network, defaultdict(list)
        self.sent = self._sent()

    @contextmanager
    def span(self, device, tower, stage, direction):
        """with profile.span(…): work of one tower, queued or done inside."""
        start = device.mark()
        yield
        self.spans[stage, direction, tower].append((device, start, device.mark()))

    def _sent(self):
        return [{self.network.devices.index(to): n for to, n in device.sent.items()} for device in self.network.devices]

    def table(self, steps):
        """The report of the last `steps` steps as text, in milliseconds and bytes a step. Waits for the devices."""
        network, towers = self.network, range(len(self.network.towers))
        threads = network.workers.threads if network.in_threads else 1
        in_threads = {str(stage) for stage in network.stages if stage.convolutional}

        def milliseconds(stage, direction, t):
            seconds = sum(device.seconds(start, stop) for device, start, stop in self.spans[stage, direction, t])
            return seconds * 1e3 / steps / (threads if stage in in_threads else 1)

        stages = [str(stage) for stage in network.stages]
        rows = [(stage, "forward") for stage in stages] + [(stage, "backward") for stage in reversed(stages)]
        if not network.on_cpu:
            rows.append(("SGD", "update"))          # on the CPU, threads share both towers' parameters
        line = "{:26}" + "{:>16}" * len(towers)
        text = [line.format(f"ms a step, of {steps}", *(f"tower {t}, {network.devices[t].name}" for t in towers))]
        sums = [0.0 for _ in towers]
        for stage, direction in rows:
            times = [milliseconds(stage, direction, t) for t in towers]
            sums = [a + b for a, b in zip(sums, times)]
            text.append(line.format(f"{stage} {direction}", *(f"{time:.2f}" for time in times)))
        text.append(line.format("sum", *(f"{total:.2f}" for total in sums)))
        for source, (now, before) in enumerate(zip(self._sent(), self.sent)):
            for target, count in now.items():
                each = (count - before.get(target, 0)) / steps
                text.append(f"tower {source} → tower {target}: {each:,.0f} bytes a step")
        for device in {device.name: device for device in network.devices}.values():
            if device.memory():
                free, total = device.memory()
                text.append(f"{device.name}: {(total - free) / 2**20:,.0f} of {total / 2**20:,.0f} MiB in use")
        return "\n".join(text)
