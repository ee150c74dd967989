//! Where and with what the figures were made.

use std::fs;
use std::io::Result;
use std::process::Command;

use interop::run;

/// Lines of a list: the day, the source, the machine, the versions. Figures of a modified tree say so.
pub(crate) fn describe() -> Result<Vec<String>> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpus = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let lock = fs::read_to_string("Cargo.lock")?;
    Ok(vec![
        format!("Date: {}", first_line(Command::new("date").args(["-u", "+%F"]))?),
        format!("Source: {}", first_line(Command::new("git").args(["describe", "--always", "--dirty=, MODIFIED"]))?),
        format!("CPU: {cpus} × {}", model.map_or("unknown", |(_, model)| model)),
        format!("Load average before the start: {load}"),
        format!("Kernel: Linux {}", kernel.trim()),
        format!("rustls {}, tokio-rustls {}", locked(&lock, "rustls"), locked(&lock, "tokio-rustls")),
        first_line(Command::new("sh").args(["-c", "stunnel4 -version 2>&1 | grep '^stunnel'"]))?,
        first_line(Command::new("/usr/sbin/haproxy").arg("-v"))?,
        first_line(Command::new("openssl").arg("version"))?,
    ])
}

fn first_line(command: &mut Command) -> Result<String> {
    Ok(run(command)?.lines().next().unwrap_or_default().to_owned())
}

fn locked<'a>(lock: &'a str, package: &str) -> &'a str {
    let entry = format!("name = \"{package}\"\nversion = \"");
    lock.split_once(&entry).and_then(|(_, rest)| rest.split('"').next()).unwrap_or("unknown")
}
