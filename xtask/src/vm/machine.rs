//! The emulated machine, and what it writes to its console.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, Result, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::job::Job;
use super::kernel::Kernel;

/// `nokaslr` and `mitigations` are for speed, `random.trust_cpu` keeps the first random number from waiting for entropy.
/// `no_timer_check`: on a busy host the emulated timer is late, and the kernel would take it for a broken one.
/// With `panic=-1` a dead kernel asks for a restart at once, which `-no-reboot` makes the end.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=1 no_timer_check";

/// What `init` writes before the job's exit status.
const EXIT: &str = "vm: exit status ";

/// Runs a job to its end, or to its time limit. An error unless the job's exit status is 0.
pub(crate) fn run(job: &Job, kernel: &Kernel, initrd: &Path, folder: &Path) -> Result<()> {
    println!("\n==> {job}: at most {} s", job.limit);
    let log = folder.join("console.log");
    // In the foreground, so that the interrupt key ends both.
    let mut machine = Command::new("timeout")
        .args(["--foreground", "--kill-after=5", &job.limit.to_string(), "qemu-system-x86_64"])
        // Software emulation is the same everywhere; what a cloud machine offers as /dev/kvm is not.
        .args(["-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max", "-smp", "2"])
        .args(["-m", &job.memory.to_string()])
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"])
        .arg("-kernel")
        .arg(kernel.image())
        .arg("-initrd")
        .arg(initrd)
        .args(["-append", KERNEL_ARGUMENTS])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let console = machine.stdout.take().expect("it is piped");
    let exit_status = follow(BufReader::new(console), File::create(&log)?)?;
    let ended = machine.wait()?;
    let problem = match exit_status.as_deref() {
        Some("0") => return Ok(()),
        Some(status) => format!("ended with exit status {status}"),
        None if ended.code() == Some(TIMED_OUT) => format!("did not end within {} s", job.limit),
        None => format!("the machine ended ({ended}) before the job did"),
    };
    Err(Error::other(format!("{job}: {problem}; its console is in {}", log.display())))
}

/// Of the `timeout` program.
const TIMED_OUT: i32 = 124;

/// Copies the console to our standard output and to the log, and returns the job's exit status if it came to that.
fn follow(mut console: impl BufRead, mut log: File) -> Result<Option<String>> {
    let mut exit_status = None;
    let mut line = Vec::new();
    while console.read_until(b'\n', &mut line)? > 0 {
        // The console's line ends are CR LF.
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        println!("  | {text}");
        writeln!(log, "{text}")?;
        if let Some(status) = text.strip_prefix(EXIT) {
            exit_status = Some(status.to_owned());
        }
        line.clear();
    }
    Ok(exit_status)
}
