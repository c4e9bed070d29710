"""`breakwater lab --check`: all steps hold, and a process that dies is told by step and exit code."""
import os
import pathlib
import re
import signal
import subprocess

import stage


class Lab:
    """A running `lab --check`, and what it has said so far."""

    def __init__(self, story):
        self.said = story.folder / "lab.out"
        # The lab bounds what a node holds; what a sanitizer keeps of freed memory isn't the node's.
        options = os.environ.get("ASAN_OPTIONS", "")
        environment = {**os.environ, "ASAN_OPTIONS": options + ":quarantine_size_mb=4"}
        with open(self.said, "w", encoding="utf-8") as output:
            self.process = subprocess.Popen([stage.BREAKWATER, "lab", "--check"], text=True,
                                            stdout=output, stderr=subprocess.PIPE, env=environment)
        story.addCleanup(self.process.stderr.close)
        story.addCleanup(self.process.wait)
        story.addCleanup(self.process.kill)  # its children die with it

    def held(self):
        """The steps that have held, by number."""
        return [int(number) for number in
                re.findall(r"^ ?(\d+) .* ms\)$", self.said.read_text(), re.MULTILINE)]

    def child(self, name):
        """The process id of the part of that name, by the file it was started with."""
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                command = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended meanwhile
            if int(parent) == self.process.pid and any(
                    part.endswith(f"/{name}.toml".encode()) for part in command):
                return int(folder.name)
        raise AssertionError(f"the lab has no {name}")

    def end(self):
        """(exit code, stdout, stderr)."""
        _, errors = self.process.communicate(timeout=12 * stage.DEADLINE)
        return self.process.returncode, self.said.read_text(), errors


class LabStory(stage.Story):
    def test_every_step_holds(self):
        code, output, errors = Lab(self).end()
        self.assertEqual((code, errors), (0, ""), output)
        self.assertEqual(output.splitlines()[-1], "lab: 16 of 16 steps held")

    def test_a_process_killed_before_a_step_breaks_that_step_and_exits_1(self):
        # Of a part that the next step doesn't ask, and of those that it does.
        for name, after in (("geodns", 1), ("origin", 1), ("purged", 2)):
            with self.subTest(name):
                lab = Lab(self)
                stage.until(lambda: after in lab.held() or lab.process.poll() is not None,
                            f"step {after}")
                # The lab is held while one of its processes dies.
                os.kill(lab.process.pid, signal.SIGSTOP)
                before = len(lab.held())
                os.kill(lab.child(name), signal.SIGKILL)
                os.kill(lab.process.pid, signal.SIGCONT)
                code, output, errors = lab.end()
                self.assertEqual(code, 1, output)
                self.assertNotIn("steps held", output)
                told = re.fullmatch(r"lab: step (\d+) did not hold: ([^:]+): (.+)\n", errors)
                self.assertIsNotNone(told, errors)
                self.assertEqual(int(told.group(1)), len(lab.held()) + 1)
                # The one under way may have come to its end before the lab was held.
                self.assertLessEqual(len(lab.held()), before + 1)
                if name == "geodns":
                    self.assertRegex(told.group(3), "^geodns (isn't running|ended by itself)$")


if __name__ == "__main__":
    stage.main()
