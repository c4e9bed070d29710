"""What a supervisor's child does between fork and exec: sockets to 3, 4, … and said so (sd_listen_fds).

    handover.py NAME=FD [NAME=FD ...] -- PROGRAM ARGUMENT...
"""
import fcntl
import os
import sys


def main():
    at = sys.argv.index("--")
    passed = [one.split("=") for one in sys.argv[1:at]]
    # Out of the way first: a descriptor may have the number that another one is to get.
    moved = [fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, 100) for _, fd in passed]
    for number, fd in enumerate(moved, 3):
        os.dup2(fd, number, inheritable=True)
    os.environ.setdefault("LISTEN_PID", str(os.getpid()))
    os.environ["LISTEN_FDS"] = str(len(passed))
    os.environ["LISTEN_FDNAMES"] = ":".join(name for name, _ in passed)
    os.execvp(sys.argv[at + 1], sys.argv[at + 1:])


main()
