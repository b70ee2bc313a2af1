"""The programs that are compared, as processes that wait for one command a line."""

import os
import pathlib
import subprocess
import time

# What PyTorch's own tuning guide has for a CPU: large buffers are kept and lie on large pages,
# instead of being given back to the system and cleared anew at every call.
TORCH_SETTINGS = {
    "THP_MEM_ALLOC_ENABLE": "1",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    # The compiler in the process itself: no workers that go on running.
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}


class SideError(RuntimeError):
    """A side could not do what it was told."""


class Side:
    """One program under comparison."""

    def __init__(self, name, command, threads, folder, settings=None):
        self.name = name
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            # LLVM's OpenMP keeps its threads spinning for 200 ms unless told otherwise.
            "KMP_BLOCKTIME": "1",
        } | (settings or {})
        self._log = open(pathlib.Path(folder) / f"{name}.log", "a", encoding="utf-8")
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log)

    def ask(self, *words):
        """Sends a command; returns the words of the answer. Raises SideError."""
        try:
            self._process.stdin.write(" ".join(map(str, words)) + "\n")
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise SideError(f"{self.name} ended at {' '.join(map(str, words))}: "
                            f"see {self._log.name}")
        kind, _, rest = answer.rstrip("\n").partition(" ")
        if kind == "error":
            raise SideError(f"{self.name}: {rest}")
        return rest

    def set_up(self, threads, **settings):
        words = {"threads": threads, "folder": ".", **settings}
        self.ask("setup", *(f"{key}={value}" for key, value in words.items()))

    def time(self, operation, variant, untimed, timed):
        """Returns the seconds of `timed` calls."""
        return [float(word) for word in
                self.ask("time", operation, variant, untimed, timed).split()]

    def memory_mib(self):
        """Returns the most memory that the process had, and what it has, in MiB."""
        return [int(word) / 1024 for word in self.ask("memory").split()]

    def busy(self):
        """Tells whether a thread of the process is running, as OpenMP's are for some
        milliseconds after the work that they shared."""
        for stat in pathlib.Path(f"/proc/{self._process.pid}/task").glob("*/stat"):
            try:
                if stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] == "R":
                    return True
            except OSError:
                pass  # the thread has just ended
        return False

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._log.close()


def wait_until_idle(sides):
    """Waits until no thread of any side runs: it would take a core from the next."""
    deadline = time.monotonic() + 2
    while any(side.busy() for side in sides):
        if time.monotonic() > deadline:
            raise SideError("a side that should wait goes on running")
        time.sleep(0.001)
