//! What CI does, runnable by hand. See `cargo xtask --help`.

mod bench;
mod ci;
mod packages;
mod steps;
mod test;
mod vm;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use steps::Steps;

const HELP: &str = "\
Usage: cargo xtask <command>

  test    Run every test: those of the workspace, those against real peers (nfs-ganesha, stunnel, OpenSSL, haproxy,
          moto), then `vm`. Debian packages, and moto of PyPI, that are missing are installed first; where that is
          impossible the run fails and says what to install.
  ci      What CI runs: formatting, clippy per crate and feature set, rustdoc, cargo-deny, then `test`. Ends with the
          time of each step.
  bench   Measure tunnels and handshakes against stunnel, haproxy and bare rustls in release mode, print the tables
          and write them to docs/benchmarks.md. Takes about ten minutes on a quiet machine.
  vm [JOB…]
          Run the jobs of xtask/vm/jobs, or only those named, each in a virtual machine with a Linux kernel of its own.
          Needs a Debian host, x86_64; installs packages as `test` does, and fetches Debian's cloud kernel into target/vm.

Environment:
  CONFORMANCE_VECTORS_ROOT   An outside vectors folder: `test` runs the conformance tests again over its subfolders
                             `tls` and `efs`.
";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let command: &dyn Fn(&mut Steps) -> std::io::Result<()> = match args.as_slice() {
        ["test"] => &test::run,
        ["ci"] => &ci::run,
        ["bench"] => &bench::run,
        ["vm", jobs @ ..] if jobs.iter().all(|job| !job.starts_with('-')) => &|steps| vm::run(steps, jobs),
        [] | ["-h" | "--help" | "help"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("cargo xtask: unknown arguments: {}\n\n{HELP}", args.join(" "));
            return ExitCode::from(2);
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace");
    let mut steps = Steps::default();
    let outcome = env::set_current_dir(root).and_then(|()| command(&mut steps));
    print!("{steps}");
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ncargo xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
