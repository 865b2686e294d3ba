"""A SLURM of its own, real but for its size, on the hosts of hosts.py: slurmctld and munged on the head, a slurmd on each host.

No systemd, no accounting database, no cgroups; root runs everything. All it writes is in the folder of the hosts, and it
ends with them.

    with Hosts(3) as hosts, Slurm(hosts) as slurm:
        job = slurm.submit("--nodes=2", "jobs/solve.sbatch", "problem.h5", "-o", "result.h5")
        slurm.wait(job, "COMPLETED")
"""
import contextlib
import os
import re
import shutil
import subprocess
import time

from hosts import HEAD, NotHere, address

CONFIGURATION = """
ClusterName=tests
SlurmctldHost=head({head})
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
TmpFS={folder}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=2
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=20
JobRequeue=1
NodeName=DEFAULT CPUs={processors} RealMemory=1000 State=UNKNOWN
{nodes}
PartitionName=tests Nodes=ALL Default=YES MaxTime=60 DefaultTime=10 State=UP
"""


class Slurm:
    def __init__(self, hosts, processors=4):
        self.hosts, self.folder = hosts, hosts.folder
        self.configuration = hosts.folder / "slurm.conf"
        self.processors = processors

    def __enter__(self):
        for program in ("munged", "slurmctld", "slurmd", "sbatch"):
            if shutil.which(program) is None:
                raise NotHere(f"no program {program}; tools/install-dependencies --cluster installs it")
        nodes = "\n".join(f"NodeName={name} NodeHostname={name} NodeAddr={address(name)}" for name in self.hosts.names)
        self.configuration.write_text(CONFIGURATION.format(folder=self.folder, head=address(HEAD), nodes=nodes,
                                                           processors=self.processors))
        with contextlib.ExitStack() as stack:
            self.start_munge(stack)
            (self.folder / "state").mkdir()
            self.start_daemon(stack, "slurmctld", "-D", "-i")
            for name in self.hosts.names:
                self.start_node(name)
            self.await_nodes(self.hosts.names)
            self.cleanup = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.cleanup.close()

    def start_daemon(self, stack, *command):
        """On the head, until the end."""
        log = stack.enter_context(open(self.folder / f"{command[0]}.out", "w"))
        daemon = subprocess.Popen(self.hosts.command(HEAD, self.environment(*command)), stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=subprocess.STDOUT)
        stack.callback(daemon.wait)
        stack.callback(daemon.terminate)
        return daemon

    def start_munge(self, stack):
        private = self.folder / "munge"
        private.mkdir(mode=0o700)
        (private / "key").touch(mode=0o400)
        os.chmod(private / "key", 0o600)
        (private / "key").write_bytes(os.urandom(256))
        os.chmod(private / "key", 0o400)
        socket = self.folder / "munge.socket"
        self.start_daemon(stack, "munged", "--foreground", "--force", f"--socket={socket}", f"--key-file={private}/key",
                          f"--pid-file={private}/pid", f"--log-file={private}/log", f"--seed-file={private}/seed")
        self.until(socket.exists, 30, "munged makes its socket")

    def start_node(self, name):
        """slurmd on a host that is up; it belongs to the host's first process, and ends with the host."""
        (self.folder / f"spool-{name}").mkdir(exist_ok=True)
        done = self.hosts.run(name, self.environment("slurmd", "-N", name))
        if done.returncode != 0:
            raise NotHere(f"slurmd on {name}: {done.stderr}")

    def await_nodes(self, names):
        self.until(lambda: all(state.rstrip("*") == state and state in ("idle", "mixed", "allocated")
                               for name, state in self.nodes().items() if name in names) and self.nodes(), 60,
                   f"{', '.join(names)} up")

    def nodes(self):
        return dict(line.split() for line in self.run("sinfo", "-h", "-N", "-o", "%N %T", check=False).stdout.splitlines())

    def until(self, happened, seconds, what):
        """Polls until that holds, and returns what it says."""
        end = time.monotonic() + seconds
        while True:
            value = happened()
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what}\n{self.last_words()}")
            time.sleep(0.2)

    def last_words(self):
        logs = [self.folder / "slurmctld.log", *sorted(self.folder.glob("slurmd-*.log"))]
        return "\n".join(f"---- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                         for log in logs if log.exists())

    # ---- what its users do

    def environment(self, *command):
        return ["env", f"SLURM_CONF={self.configuration}", *command]

    def run(self, *command, folder="/", check=True, environment=None):
        done = self.hosts.run(HEAD, self.environment(*command), folder, timeout=60,
                              env={**os.environ, **(environment or {})})
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def submit(self, *arguments, folder="/", environment=None):
        """The number of the job; `folder` is where it is submitted, and so where it runs."""
        return self.run("sbatch", "--parsable", *arguments, folder=folder, environment=environment).stdout.strip()

    def job(self, number):
        """What SLURM knows of a job: {"JobState": "RUNNING", "Restarts": "0", ...}."""
        shown = self.run("scontrol", "--oneliner", "show", "job", number, check=False).stdout
        return dict(re.findall(r"(\S+?)=(\S*)", shown))

    def wait(self, number, *states, seconds=300):
        """Until the job is in one of the states; returns what SLURM knows of it then."""
        def arrived():
            job = self.job(number)
            return job if job.get("JobState") in states else None
        try:
            return self.until(arrived, seconds, f"job {number} {' or '.join(states)}")
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.job(number)}") from None
