//! The guest's file system.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{Error, Result};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::job::Job;
use super::kernel::Kernel;
use crate::packages;
use crate::steps::output;

/// Every folder of the guest that is not there for a program or a module.
const FOLDERS: &[&str] = &[
    "dev",
    "etc",
    "job",
    "mnt",
    "proc",
    "root",
    "run",
    "srv",
    "sys",
    "tmp",
    "usr/bin",
    "usr/lib",
    "usr/lib64",
    "usr/sbin",
    "var",
];

/// As Debian has them.
const LINKS: &[(&str, &str)] =
    &[("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64"), ("sbin", "usr/sbin"), ("var/run", "../run")];

/// Puts the file system of a job together in `folder`, where it can be looked at, and returns its archive.
pub(crate) fn make(job: &Job, kernel: &Kernel, folder: &Path) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))?;
    }
    for (link, target) in LINKS {
        symlink(target, root.join(link))?;
    }
    fs::copy("xtask/vm/init", root.join("init"))?;
    for shared in fs::read_dir("xtask/vm/shared")? {
        let shared = shared?;
        fs::copy(shared.path(), root.join("job").join(shared.file_name()))?;
    }
    fs::copy(&job.script, root.join("job/run.sh"))?;
    let mut libraries = BTreeSet::new();
    for name in ["busybox", "sh"].into_iter().chain(job.files.iter().map(String::as_str)) {
        let program = packages::find(name).ok_or_else(|| Error::other(format!("{job} needs {name}: not found")))?;
        copy_beneath(&root, &program)?;
        libraries.append(&mut libraries_of(&program)?);
    }
    for name in &job.binaries {
        // Cargo puts the programs that it has built beside ours.
        let program = env::current_exe()?.with_file_name(name);
        // Symbols are four fifths of them, and the emulated machine copies every byte twice.
        output(Command::new("strip").arg("-o").arg(root.join("usr/bin").join(name)).arg(&program))?;
        libraries.append(&mut libraries_of(&program)?);
    }
    for library in &libraries {
        copy_beneath(&root, library)?;
    }
    add_modules(&root, job, kernel)?;
    archive(&root, folder.join("initrd"))
}

/// To the same path, which need not be that of the file itself: libraries are found by the names of links to them.
fn copy_beneath(root: &Path, file: &Path) -> Result<()> {
    let copy = root.join(file.strip_prefix("/").map_err(Error::other)?);
    fs::create_dir_all(copy.parent().unwrap_or(root))?;
    fs::copy(file, copy).map(drop).map_err(|error| Error::new(error.kind(), format!("{}: {error}", file.display())))
}

/// The shared libraries that a program needs, and those that they need.
fn libraries_of(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let ldd = Command::new("ldd").arg(program).output()?;
    // It fails for programs that are linked statically, and for scripts.
    let text = String::from_utf8_lossy(&ldd.stdout);
    if let Some(missing) = text.lines().find(|line| line.ends_with("not found")) {
        return Err(Error::other(format!("{} lacks a library: {}", program.display(), missing.trim())));
    }
    Ok(text.split_ascii_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

fn add_modules(root: &Path, job: &Job, kernel: &Kernel) -> Result<()> {
    let (from, to) = (kernel.unpacked_modules(), root.join(kernel.modules()));
    fs::create_dir_all(&to)?;
    for module in &job.modules {
        for file in kernel.files_of(module)? {
            let copy = to.join(&file);
            fs::create_dir_all(copy.parent().unwrap_or(&to))?;
            fs::copy(from.join(file), copy)?;
        }
    }
    output(Command::new("busybox").args(["depmod", "-b"]).arg(root).arg(&kernel.version)).map(drop)
}

/// Not compressed: to unpack it would take the emulated machine longer than to read it.
fn archive(root: &Path, file: PathBuf) -> Result<PathBuf> {
    // Whoever runs us, the guest's files are root's.
    const MAKE: &str = "find . | cpio --quiet --create --format=newc --owner=0:0 > ../initrd";
    output(Command::new("sh").args(["-c", MAKE]).current_dir(root))?;
    Ok(file)
}
