#!/usr/bin/env python3
"""Kills, starves and crowds what writes and reads files, and counts what is left of them.

    cmake --workflow --preset robustness      all of it, minutes
    python3 tests/robustness/run.py build/robustness/tests/robustness/lora_robustness --only memory

After each blow the file or directory must be the old one or the new one: the library reads all of it,
and its bytes are compared to those of both. Prints a table, and ends with 1 if anything else was
found. As root it also mounts small file systems and gives up root's rights; else it says what it left
out. Linux alone.
"""

import argparse
import collections
import hashlib
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

KINDS = ("adapter", "settings", "checkpoint", "merge", "gguf")
NAMES = {"adapter": "save an adapter", "settings": "save an adapter of another rank",
         "checkpoint": "save a checkpoint", "merge": "merge to a directory",
         "gguf": "write GGUF"}
# What a killed writer may leave: AtomicFile's and NewDirectory's names.
LEFT = re.compile(r"\.lora-\d+-\d+\.tmp|\..+-\d+\.tmp")
FAILED = 3  # the program's code after an exception


def digest(path):
    """Returns what tells one state of a file or directory from another; None where none is."""
    if not path.exists():
        return None
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    total = hashlib.sha256()
    for file in files:
        if path.is_dir() and LEFT.fullmatch(file.name):
            continue
        total.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
        total.update(file.read_bytes())
    return total.hexdigest()


class Bench:
    """The program, a place to work in, and what was found."""

    def __init__(self, program, place, scale):
        self.program, self.place, self.scale = str(program), place, scale
        self.faults, self.rows, self.omitted = [], [], []
        self.base = place / "base"
        self.call("base", self.base, scale)
        self.new = {}  # (kind, variant): digest

    def call(self, *words, expect=(0,), before=None, where=None, threads=None):
        """Runs the program to its end; other codes than those are a fault."""
        more = {"OMP_NUM_THREADS": str(threads)} if threads else {}
        done = subprocess.run([self.program, *map(str, words)], input="go\n", text=True,
                              capture_output=True, preexec_fn=before, env={**os.environ, **more})
        self.judge(done.returncode, done.stderr, expect, where or " ".join(map(str, words)))
        return done

    def judge(self, code, message, expect, where):
        if code not in expect:
            self.fault(f"{where}: ended with {code}: {message[:300]}")
        elif code == FAILED and len(message.strip()) < 8:
            self.fault(f"{where}: an exception without a message")

    def fault(self, text):
        self.faults.append(text)
        print("FAULT:", text, flush=True)

    def words(self, kind, path, variant):
        return ["write", kind, path, variant, self.scale, *([self.base] if kind == "merge" else [])]

    def whole(self, kind, path, variant):
        """Writes a variant without disturbance, reads it and returns its digest."""
        self.call(*self.words(kind, path, variant))
        self.call("read", kind, path)
        return digest(path)

    def expected(self, kind, variant):
        if (kind, variant) not in self.new:
            path = self.place / "expected"
            self.new[kind, variant] = self.whole(kind, path, variant)
            remove(path)
        return self.new[kind, variant]

    def start(self, kind, path, variant, before=None):
        """Starts a writer and waits until it has all that it will write."""
        process = subprocess.Popen([self.program, *map(str, self.words(kind, path, variant))],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, preexec_fn=before)
        if process.stdout.readline() != b"ready\n":
            raise SystemExit(f"{kind}: does not start: {process.stderr.read().decode()}")
        return process

    def check(self, kind, path, allowed, where):
        """Returns which of the allowed states there is, after the library has read it."""
        found = digest(path)
        if found not in allowed:
            self.fault(f"{where}: neither the old one nor the new one")
            return None
        if found is not None:
            self.call("read", kind, path, where=where + ", read")
        return allowed.index(found)

    def left_in(self, folder):
        """Lists what writers left behind, by its names, in a folder and its directories."""
        return [p for p in folder.rglob("*") if LEFT.fullmatch(p.name)
                and not any(LEFT.fullmatch(q.name) for q in p.relative_to(folder).parents)]

    def only_known(self, folder, names, where):
        strange = [p.name for p in folder.iterdir()
                   if p.name not in names and not LEFT.fullmatch(p.name)]
        if strange:
            self.fault(f"{where}: left {strange} behind")

    def row(self, what, rounds, inside, result):
        self.rows.append((what, rounds, inside, result))
        print(f"| {what} | {rounds} | {inside} | {result} |", flush=True)


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def place_for(bench, name):
    folder = bench.place / name
    remove(folder)
    folder.mkdir()
    return folder


def timed(bench, kind, path):
    """Returns how long it takes to write variant 0, which is then there, but for a merge."""
    if kind == "merge":
        remove(path)
    process = bench.start(kind, path, 0)
    begin = time.monotonic()
    process.stdin.write(b"go\n")
    process.stdin.flush()
    process.stdout.readline()
    took = time.monotonic() - begin
    process.communicate()
    if kind == "merge":
        remove(path)
    return took


def kill(bench, rounds):
    """kill -9 at moments spread over the whole of a write, until so many came before its end; what it
    leaves lies in the way of the next writes for 20 rounds."""
    for kind in KINDS:
        folder = place_for(bench, "kill")
        path = folder / kind
        duration = statistics.median(timed(bench, kind, path) for _ in range(7))
        every = [duration]
        count = collections.Counter()
        variant = 0
        i = 0
        while count["before"] + count["inside"] < rounds:
            old = None if kind == "merge" else bench.expected(kind, variant)
            new = bench.expected(kind, variant + 1)
            left = len(bench.left_in(folder))
            process = bench.start(kind, path, variant + 1)
            delay = random.uniform(0, 1.1 * duration)
            begin = time.monotonic()
            process.stdin.write(b"go\n")
            process.stdin.flush()
            while time.monotonic() - begin < delay:
                time.sleep(max(0, min(0.0005, delay - (time.monotonic() - begin))))
            process.kill()
            output = process.communicate()[0]
            has_left = len(bench.left_in(folder)) > left
            where = f"{kind}, kill {i} after {delay:.4f} s"
            refused = (kind == "settings" and digest(path) not in (old, new)
                       and bench.call("read", kind, path, expect=(0, FAILED)).returncode)
            state = 2 if refused else bench.check(kind, path, [old, new], where)
            count["after" if b"done" in output else
                  "inside" if has_left or state else "before"] += 1
            count["broken" if state is None else ("old", "new", "refused")[state]] += 1
            count["left"] += has_left
            if kind == "merge":
                remove(path)
            elif state in (None, 2):
                variant = 0
                bench.whole(kind, path, 0)
            elif state == 1:
                variant = (variant + 1) % 2
                if variant == 0:
                    bench.whole(kind, path, 0)
            bench.only_known(folder, [kind], kind)
            if i % 20 == 19:
                if bench.whole(kind, path, variant) != bench.expected(kind, variant):
                    bench.fault(f"{kind}: a write among what was left is another")
                for each in bench.left_in(folder):
                    remove(each)
                # Others that use the disk change it.
                duration = statistics.median(timed(bench, kind, path) for _ in range(3))
                every.append(duration)
                variant = 0
            i += 1
        length = f"{1000 * min(every):.0f} to {1000 * max(every):.0f} ms"
        bench.row(f"kill -9: {NAMES[kind]} ({length})", i,
                  f"{count['inside']} ({count['before']} before, {count['after']} after)",
                  f"{count['old']} old, {count['new']} new, {count['broken']} broken"
                  + (f", {count['refused']} between two renames, refused by readers"
                     if kind == "settings" else "") + f"; {count['left']} left a temporary")


def between_renames(bench, rounds):
    """kill -9 at each rename of an adapter with other settings: no reader takes a part of it, and the
    next save mends it."""
    del rounds
    if not shutil.which("strace"):
        bench.omitted.append("a kill at each rename: there is no strace")
        return
    folder = place_for(bench, "renames")
    path = folder / "settings"
    states = []
    for last in range(1, 20):
        old, new = bench.whole("settings", path, 0), bench.expected("settings", 1)
        killed = subprocess.run(
            ["strace", "-f", "-o", "/dev/null", "-e", "trace=rename,renameat,renameat2",
             "-e", f"inject=rename,renameat,renameat2:signal=KILL:when={last}",
             bench.program, *map(str, bench.words("settings", path, 1))], input=b"go\n",
            capture_output=True)
        if killed.returncode == 0:
            break
        if killed.returncode not in (-signal.SIGKILL, 128 + signal.SIGKILL):
            bench.omitted.append(f"a kill at each rename: {killed.stderr.decode().strip()[:200]}")
            return
        code = bench.call("read", "settings", path, expect=(0, FAILED)).returncode
        states.append("refused" if code else "old" if digest(path) == old else "new")
        if not code and digest(path) not in (old, new):
            bench.fault(f"killed at rename {last}: neither the old one nor the new one")
        if bench.whole("settings", path, 1) != new:
            bench.fault(f"killed at rename {last}: the next save is another")
    bench.row("kill -9 at each rename of an adapter of another rank", len(states), len(states),
              ", ".join(states) + "; whole after the next save")


def unharmed(bench, kind, path, old, where):
    """After a failed write: the old one, and nothing beside it."""
    bench.check(kind, path, [old], where)
    if left := bench.left_in(path.parent):
        bench.fault(f"{where}: left {[p.name for p in left]} behind")


def sizes_of(path):
    return [p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*"))
            if p.is_file()]


def failing_writes(bench, what, rounds, run):
    """run(kind, path, size) makes a write that may fail, and returns how it ended; size is that of the
    largest file."""
    for kind in KINDS:
        count = collections.Counter()
        folder = place_for(bench, "fail")
        path = folder / kind
        sample = bench.place / "sample"
        bench.whole(kind, sample, 1)
        size = max(sizes_of(sample))
        remove(sample)
        for i in range(rounds):
            where = f"{what}, {kind} {i}"
            remove(path)
            old = None if kind == "merge" else bench.whole(kind, path, 0)
            code = run(kind, path, size)
            count[code] += 1
            if code == FAILED:
                unharmed(bench, kind, path, old, where)
            else:
                bench.check(kind, path, [bench.expected(kind, 1)], where)
        bench.row(f"{what}: {NAMES[kind]}", rounds, "",
                  f"{count[FAILED]} errors with a message, old one untouched; {count[0]} written")


def file_size(bench, rounds):
    """A limit to the size of files, anywhere in the file: what a full disk and a quota look like."""
    def run(kind, path, size):
        most = random.randrange(size)

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        return bench.call(*bench.words(kind, path, 1), expect=(0, FAILED), before=limit).returncode
    failing_writes(bench, "file too large (RLIMIT_FSIZE)", rounds, run)


def disk_full(bench, rounds):
    """A file system with room for the old one and a part of the new one."""
    mount = place_for(bench, "disk")
    for kind in KINDS:
        count = collections.Counter()
        sample = bench.place / "sample"
        bench.whole(kind, sample, 1)
        size = sum(sizes_of(sample))
        remove(sample)
        for i in range(rounds):
            held = 0 if kind == "merge" else size
            room = held + int(size * random.uniform(0, 1.1)) + 4096 * 4
            if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", mount],
                              capture_output=True).returncode:
                bench.omitted.append("disk full: no right to mount a tmpfs")
                return
            try:
                path = mount / kind
                old = None if kind == "merge" else bench.whole(kind, path, 0)
                done = bench.call(*bench.words(kind, path, 1), expect=(0, FAILED))
                where = f"disk full, {kind} {i}"
                count[done.returncode] += 1
                if done.returncode == FAILED:
                    unharmed(bench, kind, path, old, where)
                    if "No space left" not in done.stderr:
                        bench.fault(f"{where}: the message does not say so: {done.stderr}")
                else:
                    bench.check(kind, path, [bench.expected(kind, 1)], where)
            finally:
                subprocess.run(["umount", mount], check=True)
        bench.row(f"disk full (tmpfs): {NAMES[kind]}", rounds, "",
                  f"{count[FAILED]} errors with a message, old one untouched; {count[0]} written")


def no_permission(bench, rounds):
    """A user who may not write, or not read; what is not a file in the place of one."""
    del rounds

    def give_up():
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
    os.chmod(bench.place, 0o755)
    count = collections.Counter()
    for kind in KINDS:
        folder = place_for(bench, "denied")
        path = folder / kind
        old = None if kind == "merge" else bench.whole(kind, path, 0)
        for each in [folder, *folder.rglob("*")]:
            os.chmod(each, 0o555 if each.is_dir() else 0o444)
        bench.call(*bench.words(kind, path, 1), expect=(FAILED,), before=give_up,
                   where=f"no right to write, {kind}")
        unharmed(bench, kind, path, old, f"no right to write, {kind}")
        count["write"] += 1
        if kind != "merge":
            closed = [path, *path.rglob("*")]
            for each in reversed(closed):
                os.chmod(each, 0)
            bench.call("read", kind, path, expect=(FAILED,), before=give_up,
                       where=f"no right to read, {kind}")
            count["read"] += 1
            for each in closed:
                os.chmod(each, 0o700)
        os.chmod(folder, 0o700)
        for special in ("/dev/full", "/dev/null", "pipe", "folder"):
            if kind not in ("checkpoint", "gguf"):
                break
            target = pathlib.Path(special)
            if special == "pipe":
                target = folder / special
                os.mkfifo(target)
            elif special == "folder":
                target = folder / special
                target.mkdir()
            else:
                # One of its own, should it be replaced.
                device = os.stat(special).st_rdev
                target = folder / target.name
                try:
                    os.mknod(target, 0o666 | 0o020000, device)
                except PermissionError:
                    bench.omitted.append("a device in the place of a file: no right to make one")
                    continue
            mode = os.lstat(target).st_mode
            bench.call(*bench.words(kind, target, 1), expect=(FAILED,),
                       where=f"{kind} to {special}")
            if os.lstat(target).st_mode != mode:
                bench.fault(f"{kind} to {special}: took its place")
            count["special"] += 1
    bench.row("no right to write", count["write"], "", "errors with a message, old one untouched")
    bench.row("no right to read", count["read"], "", "errors with a message")
    bench.row("a device, a pipe or a directory in the place of a file", count["special"], "",
              "errors with a message, untouched")


def two_writers(bench, rounds):
    """Two programs that write one path at once."""
    for kind in KINDS:
        count = collections.Counter()
        folder = place_for(bench, "two")
        path = folder / kind
        for i in range(rounds):
            if kind == "merge" or i % 2:
                remove(path)
            both = [bench.start(kind, path, variant) for variant in (0, 1)]
            for process in both:
                process.stdin.write(b"go\n")
                process.stdin.flush()
            for process in both:
                message = process.communicate()[1].decode()
                # A directory that appears as a whole has one writer.
                bench.judge(process.returncode, message,
                            (0, FAILED) if kind == "merge" else (0,), f"two writers, {kind} {i}")
                count["refused"] += process.returncode == FAILED
            allowed = [bench.expected(kind, 0), bench.expected(kind, 1)]
            state = bench.check(kind, path, allowed, f"two writers, {kind} {i}")
            count["broken" if state is None else f"{('first', 'second')[state]}"] += 1
            if state is None:
                remove(path)
            if left := bench.left_in(folder):
                bench.fault(f"two writers, {kind} {i}: left {[p.name for p in left]} behind")
        result = f"{count['first']} one's, {count['second']} the other's, {count['broken']} mixed"
        if kind == "merge":
            result += f"; {count['refused']} told that the directory is there"
        bench.row(f"two writers: {NAMES[kind]}", rounds, "", result)


def memory(bench, rounds):
    """Limits to the address space, from what the program has at its start to more than it needs."""
    folder = place_for(bench, "memory")
    for kind, threads in (("adapter", 1), ("safetensors", 1), ("checkpoint", 1), ("gguf", 1),
                          ("model", 1), ("model", 2)):
        path = bench.base if kind == "model" else folder / kind
        if kind == "safetensors":
            path = bench.base / "model-00001-of-00002.safetensors"
        elif kind != "model":
            bench.whole(kind, path, 1)
        # OpenMP ends a program that can have no second thread, by itself: core/parallel.hpp.
        by_openmp = [1] if threads > 1 else []

        def read(more):
            done = bench.call("read", kind, path, more, expect=(0, FAILED, *by_openmp),
                              threads=threads)
            if done.returncode == 1 and not done.stderr.strip().startswith(("libgomp", "OMP")):
                bench.fault(f"memory, {kind}: ended with 1: {done.stderr}")
            return done

        most = 1 << 16
        while read(most).returncode:
            most *= 2
        # More of them where the file fits and what is made of it does not.
        size = max(sizes_of(path))
        few = max(1, rounds // 4)
        steps = [size * i // few for i in range(few)]
        steps += [size + (most - size) * i // (rounds - few) for i in range(rounds - few + 1)]
        count = collections.Counter()
        for more in steps:
            done = read(more)
            count["bad_alloc"] += done.returncode == FAILED and "bad_alloc" in done.stderr
            count[done.returncode] += 1
        ended = f"{count[1]} ended by OpenMP's message, " if by_openmp else ""
        crashed = len(steps) - count[0] - count[FAILED] - (count[1] if by_openmp else 0)
        bench.row(f"memory: load {'an' if kind == 'adapter' else 'a'} {kind}, {threads} thread"
                  + "s" * (threads > 1), len(steps), "",
                  f"{count[FAILED]} exceptions ({count['bad_alloc']} std::bad_alloc), {ended}"
                  f"{count[0]} loaded, {crashed} crashed; enough: {most >> 20} MiB")


def mapped(bench, rounds):
    """What a program sees of a mapped file that others change."""
    del rounds
    folder = place_for(bench, "mapped")
    for how, expected in (("replaced", "old"), ("overwritten", "new"), ("cut", "")):
        expect = (-signal.SIGBUS,) if how == "cut" else (0,)
        done = bench.call("mapped", folder / "file", how, expect=expect)
        if done.stdout.strip() != expected:
            bench.fault(f"mapped, {how}: saw {done.stdout}")
    bench.row("mapped file replaced, overwritten, cut short", 3, "",
              "the old bytes; the new bytes; SIGBUS (as documented)")


PARTS = {"kill": (kill, 1), "renames": (between_renames, 1), "file_size": (file_size, 0.1),
         "disk_full": (disk_full, 0.1), "no_permission": (no_permission, 1),
         "two_writers": (two_writers, 0.5),
         "memory": (memory, 0.3), "mapped": (mapped, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=200, help="of each kill; of others a part")
    parser.add_argument("--scale", type=int, default=64, help="of the files: 64 makes 25 to 60 MB")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, as kill,memory")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", help="where to work: a disk rather than memory")
    options = parser.parse_args()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory(dir=options.directory) as place:
        bench = Bench(options.program.resolve(), pathlib.Path(place), options.scale)
        for name in options.only.split(","):
            part, share = PARTS[name]
            part(bench, max(2, int(options.rounds * share)))
    print(f"\nseed {options.seed}, scale {options.scale}\n")
    print("| what | rounds | killed inside | result |\n| --- | --- | --- | --- |")
    for row in bench.rows:
        print("| " + " | ".join(map(str, row)) + " |")
    for text in bench.omitted:
        print("left out:", text)
    print(f"{len(bench.faults)} faults")
    return 1 if bench.faults else 0


if __name__ == "__main__":
    sys.exit(main())
