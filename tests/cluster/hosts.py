"""Several hosts on this machine: each has its own network, name, processes, shared memory and list of addresses.

A host is a set of Linux namespaces, kept by a process that is its first; when that is killed, all of the host's processes
go with it, like those of a machine that loses power. Hosts share the disk. They are joined by a bridge on the head, which
is a host but for sharing the machine's process numbers: what runs there can enter the others. The machine's own network
gets nothing, so that any number of clusters can be up at a time. When the test process ends, in whatever way, so do hosts.

    with Hosts(4) as hosts:                               # head, n1, n2, n3, n4
        hosts.run("n1", ["hostname"])
        hosts.mpirun(["n1", "n2"], 2, ["./program"])      # 2 ranks on each, talking over the hosts' interfaces
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

NETWORK = "10.77.0"
HEAD = "head"

# What a host's first process does: names the host, gives it an empty /dev/shm, and sees off processes whose parents have
# gone.
FIRST_PROCESS = """
hostname "$1" && mount --make-rprivate / && mount --bind "$2" /etc/hosts && mount -t tmpfs shm /dev/shm && ip link set lo up &&
echo up || exit 1
trap : TERM HUP INT USR1 USR2
while :; do sleep 3600 & wait; done
"""


# The place of ssh for mpirun: a host's name, then a command for its shell.
REMOTE_SHELL = """#!/bin/sh
host=$1
shift
exec nsenter --target "$(cat "$CLUSTER_FOLDER/$host.first")" --net --uts --ipc --mount --pid --wd="$PWD" -- sh -c "$*"
"""

DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"]


class NotHere(Exception):
    """Why this machine can't have such hosts."""


class Host:
    """One host, and `enter`, what to write before a command so that it runs there."""

    def __init__(self, name, hosts_file):
        self.name = name
        processes = [] if name == HEAD else ["--pid", "--mount-proc"]
        self.keeper = subprocess.Popen(
            [*DIE_WITH_PARENT, "unshare", "--net", "--uts", "--ipc", "--mount", *processes, "--fork", "--kill-child",
             "bash", "-c", FIRST_PROCESS, "first process", name, str(hosts_file)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        said = self.keeper.stdout.readline()
        if said != "up\n":
            said += self.keeper.communicate()[0]
            raise NotHere(f"no host in namespaces of its own: {said.strip()}")
        children = pathlib.Path(f"/proc/{self.keeper.pid}/task/{self.keeper.pid}/children").read_text().split()
        self.first = children[0]  # its number on the machine
        self.enter = ["nsenter", "--target", self.first, "--net", "--uts", "--ipc", "--mount", *processes[:1]]

    def power_off(self):
        """All its processes are gone when this returns."""
        self.keeper.kill()
        self.keeper.wait()
        self.keeper.stdout.close()
        while pathlib.Path("/proc", self.first).exists():
            time.sleep(0.01)


class Hosts:
    """The head and hosts n1, n2, ... The folder is on the disk that they share.

    With a `delay` in seconds a switch of switch.py joins them, else the kernel's bridge; only that has cables to pull.
    """

    def __init__(self, count, delay=None):
        self.names = [f"n{i}" for i in range(1, count + 1)]
        self.hosts, self.delay = {}, delay

    def __enter__(self):
        if os.geteuid() != 0:
            raise NotHere("hosts in namespaces of their own need root")
        for program in ("setpriv", "unshare", "nsenter", "ip"):
            if shutil.which(program) is None:
                raise NotHere(f"no program {program}; tools/install-dependencies installs it")
        with contextlib.ExitStack() as stack:
            self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kronattn-hosts-")))
            self.folder.chmod(0o755)
            stack.callback(lambda: [host.power_off() for host in self.hosts.values()])
            lines = ["127.0.0.1 localhost"] + [f"{address(name)} {name}" for name in [HEAD, *self.names]]
            (self.folder / "hosts").write_text("\n".join(lines) + "\n")
            self.start(HEAD)
            for name in self.names:
                self.start(name)
            if self.delay is not None:
                self.join_by_switch(stack)
            self.remote_shell = self.folder / "remote-shell"
            self.remote_shell.write_text(REMOTE_SHELL)
            self.remote_shell.chmod(0o755)
            self.cleanup = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.cleanup.close()

    def start(self, name):
        """Starts a host that is not there yet, or not any more."""
        host = self.hosts[name] = Host(name, self.folder / "hosts")
        if self.delay is not None:
            pass  # the switch joins them all
        elif name == HEAD:
            ip(host, "link add joint type bridge", f"addr add {address(name)}/24 dev joint", "link set joint up")
        else:
            ip(self.hosts[HEAD], f"link add {name} type veth peer name eth0 netns {host.first}",
               f"link set {name} master joint up")
            ip(host, f"addr add {address(name)}/24 dev eth0", "link set eth0 up")
        (self.folder / f"{name}.first").write_text(host.first)

    def join_by_switch(self, stack):
        switch = subprocess.Popen(
            [*DIE_WITH_PARENT, sys.executable, pathlib.Path(__file__).with_name("switch.py"), str(self.delay),
             *(host.first for host in self.hosts.values())], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        stack.callback(switch.communicate)
        stack.callback(switch.kill)
        if switch.stdout.readline() != "ready\n":
            raise NotHere(f"no switch: {switch.communicate()[1].strip()}")
        for name, host in self.hosts.items():
            ip(host, f"addr add {address(name)}/24 dev eth0", "link set eth0 mtu 9000 up")

    def power_off(self, name):
        """Without a last word: processes that are killed would still close their connections."""
        self.plug(name, False)
        self.hosts[name].power_off()
        # The cable would go with the host's network, but at the kernel's leisure, which may have come.
        with contextlib.suppress(NotHere):
            ip(self.hosts[HEAD], f"link delete {name}")

    def plug(self, name, connected):
        """Pulls the cable of a host, or puts it back."""
        ip(self.hosts[HEAD], f"link set {name} {'up' if connected else 'down'}")

    def sent(self, name):
        """Bytes and frames that have left a host over its interface."""
        folder = "/sys/class/net/eth0/statistics/"
        # A file system of the host's own network: /sys is the machine's until it is mounted again.
        shown = self.run(name, ["unshare", "--mount", "sh", "-c", "mount -t sysfs sysfs /sys && "
                                f"cat {folder}tx_bytes {folder}tx_packets"], check=True)
        return [int(line) for line in shown.stdout.split()]

    # ---- running

    def command(self, name, command, folder="/"):
        """The command as it is to be started on this machine to run on that host, and to end with this process."""
        return [*DIE_WITH_PARENT, *self.hosts[name].enter, f"--wd={folder}", "--", *map(str, command)]

    def run(self, name, command, folder="/", **options):
        return subprocess.run(self.command(name, command, folder), text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, **options)

    def mpirun_command(self, names, ranks, command, options=()):
        network = f"{NETWORK}.0/24"
        return self.command(HEAD, [
            "env", f"CLUSTER_FOLDER={self.folder}", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
            "OMPI_MCA_mpi_yield_when_idle=1", "mpirun", "--mca", "plm", "rsh", "--mca", "plm_rsh_no_tree_spawn", "1",
            "--mca", "plm_rsh_agent", self.remote_shell, "--mca", "oob_tcp_if_include", network,
            "--mca", "btl_tcp_if_include", network, "--host", ",".join(f"{name}:{ranks}" for name in names),
            "--map-by", "node", "--bind-to", "none", "-n", ranks * len(names), *options, *command])

    def mpirun(self, names, ranks, command, options=(), **how):
        """So many ranks on each of the hosts; mpirun itself is on the head."""
        return subprocess.run(self.mpirun_command(names, ranks, command, options), text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, **how)


def address(name):
    return f"{NETWORK}.{1 if name == HEAD else 10 + int(name[1:])}"


def ip(host, *lines):
    """Runs ip with each line in the network of a host, but with the machine's process numbers."""
    for line in lines:
        done = subprocess.run(["nsenter", "--target", host.first, "--net", "ip", *line.split()], text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise NotHere(f"ip {line}: {done.stderr.strip()}")
