//! Runs the manual's Slurm script on a real Slurm: the daemons of one machine, with a key of their own, without
//! systemd, accounting or control groups.

use crate::run::{ok, root};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Most time that anything may take here.
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn a_requeued_array_gives_the_report_of_one_process() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let Some(slurm) = Slurm::start(folder) else { return };
    let (script, submit) = manual();
    fs::write(folder.join("attack.sbatch"), script).unwrap();
    let model = root().join("models/signs-tiny-dq/model.json");
    // The manual's lines, with fewer tasks, on fewer images; each prints the number of its job.
    let fewer = "sbatch --parsable --array=1-4 --cpus-per-task=1";
    let submit = submit
        .replace("model.json", &model.display().to_string())
        .replace("cifar10=DIR", "'signs --count 60'")
        .replace("sbatch --parsable", fewer)
        .replace("sbatch --dependency", "echo $id; sbatch --parsable --dependency");
    // A data set with a number of images is two words, which the script must not quote.
    let script = fs::read_to_string(folder.join("attack.sbatch")).unwrap().replace("\"$DATA\"", "$DATA");
    fs::write(folder.join("attack.sbatch"), script).unwrap();
    let said = slurm.run("bash", &["-c", &format!("set -e\n{submit}")]);
    let ids: Vec<&str> = said.lines().collect();
    assert_eq!(ids.len(), 2, "{said}");
    // One task is taken off its node once it has begun, and queued again.
    let task = format!("{}_1", ids[0]);
    slurm.until("the first task runs", || {
        slurm.run("squeue", &["-h", "-o", "%T", "-j", &task]) == "RUNNING\n"
    });
    std::thread::sleep(Duration::from_secs(2));
    slurm.run("scontrol", &["requeue", &task]);
    slurm.until("the task is queued again", || {
        let state = slurm.run("scontrol", &["show", "job", &task]);
        state.contains("Restarts=1") && state.contains("JobState=PENDING")
    });
    let kept = folder.join("shard-1.json.partial").exists();
    slurm.run("scontrol", &["update", &format!("jobid={task}"), "StartTime=now"]);
    slurm.until("all jobs are done", || slurm.run("squeue", &["-h"]).is_empty());
    let log = || fs::read_to_string(folder.join(format!("slurm-{}_1.out", ids[0]))).unwrap_or_default();
    assert!(folder.join("report.json").exists(), "no merged report: {}", log());
    assert!(kept, "the task that was taken off kept nothing: {}", log());
    let alone =
        ["attack", &model.display().to_string(), "--data", "signs", "--count", "60", "--attack", "auto"];
    ok(folder, &[&alone[..], &["--eps", "2,8", "-o", "alone.json"]].concat());
    assert!(fs::read(folder.join("report.json")).unwrap() == fs::read(folder.join("alone.json")).unwrap());
}

/// Returns the script and the lines that submit it, as they stand in the manual.
fn manual() -> (String, String) {
    let page = fs::read_to_string(root().join("docs/cluster.md")).unwrap();
    let (_, rest) = page.split_once("## A Slurm array\n\n").unwrap();
    let block = |text: &str| -> String {
        let lines = text.lines().take_while(|line| line.starts_with("    "));
        lines.map(|line| format!("{}\n", &line[4..])).collect()
    };
    let (_, submit) = rest.split_once("\n\n").unwrap();
    (block(rest), block(submit))
}

/// Holds the daemons, which end with it.
struct Slurm<'a> {
    folder: &'a Path,
    daemons: Vec<Child>,
}

impl<'a> Slurm<'a> {
    /// Starts Slurm in `folder`; none, said aloud, where there is none or it may not be started.
    fn start(folder: &'a Path) -> Option<Self> {
        // SAFETY: the call has no arguments and cannot fail.
        let is_root = unsafe { libc::geteuid() } == 0;
        let tools = ["munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue"];
        if !is_root || tools.iter().any(|tool| find(tool).is_none()) {
            eprintln!(
                "SKIPPED: needs slurmctld, slurmd, munged and Slurm's commands, and root to start them"
            );
            return None;
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let host = host.trim().split('.').next().unwrap();
        let place = folder.display();
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "ClusterName=dq\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser=root\nAuthType=auth/munge\n\
             AuthInfo=socket={place}/munge\nCredType=cred/munge\nSlurmctldPort={}\nSlurmdPort={}\n\
             StateSaveLocation={place}/state\nSlurmdSpoolDir={place}/spool\nSlurmctldPidFile={place}/c.pid\n\
             SlurmdPidFile={place}/d.pid\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
             JobAcctGatherType=jobacct_gather/none\nAccountingStorageType=accounting_storage/none\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nReturnToService=2\nMpiDefault=none\n\
             NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000\n\
             PartitionName=all Nodes=n1 Default=YES MaxTime=INFINITE State=UP\n",
            port(),
            port()
        );
        fs::write(folder.join("slurm.conf"), text).unwrap();
        for name in ["state", "spool"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        fs::write(folder.join("key"), [7; 128]).unwrap();
        let only_mine = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        fs::set_permissions(folder.join("key"), only_mine).unwrap();
        let mut slurm = Self { folder, daemons: vec![] };
        let at = |option: &str, name: &str| format!("--{option}={place}/{name}");
        let munge = [
            "--force".to_owned(),
            "--foreground".to_owned(),
            at("key-file", "key"),
            at("socket", "munge"),
            at("pid-file", "munge.pid"),
            at("log-file", "munge.log"),
            at("seed-file", "munge.seed"),
        ];
        slurm.daemon("munged", &munge.each_ref().map(String::as_str));
        slurm.until("munge answers", || folder.join("munge").exists());
        slurm.daemon("slurmctld", &["-c", "-D"]);
        slurm.daemon("slurmd", &["-D", "-N", "n1"]);
        slurm.until("the node is idle", || slurm.run("sinfo", &["-h", "-o", "%T"]) == "idle\n");
        Some(slurm)
    }

    fn daemon(&mut self, tool: &str, args: &[&str]) {
        let log = fs::File::create(self.folder.join(format!("{tool}.out"))).unwrap();
        let child = self.command(tool, args).stdout(Stdio::null()).stderr(log).spawn();
        self.daemons.push(child.unwrap_or_else(|error| panic!("{tool}: {error}")));
    }

    fn command(&self, tool: &str, args: &[&str]) -> Command {
        let mut command = Command::new(find(tool).unwrap_or_else(|| panic!("no {tool}")));
        // The scripts call `dq`.
        let dq = Path::new(env!("CARGO_BIN_EXE_dq")).parent().unwrap().display();
        let path = format!("{dq}:{}", std::env::var("PATH").unwrap_or_default());
        command.args(args).current_dir(self.folder).env("PATH", path);
        command.env("SLURM_CONF", self.folder.join("slurm.conf"));
        command
    }

    /// Returns what a command says; nothing where it fails, as before the controller answers.
    fn run(&self, tool: &str, args: &[&str]) -> String {
        let output = self.command(tool, args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            let log = |tool: &str| fs::read_to_string(self.folder.join(tool)).unwrap_or_default();
            assert!(
                start.elapsed() < PATIENCE,
                "waited in vain until {what}: {}{}",
                log("slurmctld.out"),
                log("slurmd.out")
            );
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

impl Drop for Slurm<'_> {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// Returns the path of a program, in PATH or among the system's daemons.
fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(tool)).find(|path| path.is_file())
}
