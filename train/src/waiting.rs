//! Sets how libtorch's threads wait for each other.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Variables by which a user chooses how threads wait: those of any OpenMP library, of GCC's, and of LLVM's
/// and Intel's.
const CHOICES: [&str; 3] = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"];

/// How often a thread looks for work before it sleeps. A step of training waits about 300 times: without any
/// looking, falling asleep and waking up cost a third of the speed on an idle machine; with GCC's default of
/// some milliseconds, threads keep each other from the cores where the machine does other work, and training
/// is many times slower. This many cost nothing on the one and little on the other.
const LOOKS: &str = "3000";

/// Lets libtorch's threads sleep when they wait for more than some microseconds, unless the user chose how
/// they wait.
///
/// OpenMP's library reads its settings as it is loaded, before `main`. So this starts the same program again,
/// in the same process, with the setting. Call it before anything else is begun; where the program cannot be
/// started again, it changes nothing.
pub fn sleep_while_waiting() {
    if CHOICES.iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // The call returns only where it failed.
    let _ = command.args(arguments).env("GOMP_SPINCOUNT", LOOKS).exec();
}
