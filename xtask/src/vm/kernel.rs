//! Debian's cloud kernel, unpacked rather than installed.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages;
use crate::steps::{Steps, output};

/// Depends on the package of the current kernel, whose name has a version in it.
const CURRENT: &str = "linux-image-cloud-amd64";

/// A kernel in the cache.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// For example 6.1.0-56-cloud-amd64.
    pub(crate) version: String,
    folder: PathBuf,
}

impl Kernel {
    /// The kernel of an earlier run; without one, that which Debian has now.
    pub(crate) fn ensure(steps: &mut Steps, cache: &Path) -> Result<Self> {
        let folder = cache.join("kernel");
        if !folder.exists() {
            steps.measure("fetch the kernel", || fetch(cache).and_then(|unpacked| fs::rename(unpacked, &folder)))?;
        }
        Self::of(folder)
    }

    fn of(folder: PathBuf) -> Result<Self> {
        let entries = fs::read_dir(folder.join(MODULES))?.collect::<Result<Vec<_>>>()?;
        let [entry] = entries.as_slice() else {
            return Err(Error::other(format!("{} is not one kernel: delete it", folder.display())));
        };
        Ok(Self { version: entry.file_name().to_string_lossy().into_owned(), folder })
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.folder.join(format!("boot/vmlinuz-{}", self.version))
    }

    /// The folder of the modules, the same in a guest.
    pub(crate) fn modules(&self) -> PathBuf {
        Path::new(MODULES).join(&self.version)
    }

    /// Where the modules are on the host.
    pub(crate) fn unpacked_modules(&self) -> PathBuf {
        self.folder.join(self.modules())
    }

    /// The file of a module and those of the modules that it depends on, below the folder of the modules. None for a
    /// module that is part of the kernel's image.
    pub(crate) fn files_of(&self, module: &str) -> Result<Vec<String>> {
        let is_wanted = |file: &str| {
            let name = file.rsplit('/').next().and_then(|name| name.strip_suffix(".ko"));
            // As modprobe does: both spellings are one name.
            name.is_some_and(|name| name.replace('-', "_") == module.replace('-', "_"))
        };
        let read = |list| fs::read_to_string(self.unpacked_modules().join(list));
        let dependencies = read("modules.dep")?;
        if let Some((file, needed)) =
            dependencies.lines().filter_map(|line| line.split_once(':')).find(|it| is_wanted(it.0))
        {
            return Ok([file].into_iter().chain(needed.split_ascii_whitespace()).map(str::to_owned).collect());
        }
        if read("modules.builtin")?.lines().any(is_wanted) {
            return Ok(vec![]);
        }
        Err(Error::other(format!("kernel {} has no module {module}", self.version)))
    }
}

/// `/lib` is a link to it, in Debian and in the guest.
const MODULES: &str = "usr/lib/modules";

/// Returns the folder of the unpacked kernel.
fn fetch(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join("kernel.new");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let package = folder.join("package");
    fs::create_dir_all(&package)?;
    download(&package)
        // The lists of packages may be missing, or older than what the mirror still has.
        .or_else(|error| packages::update().and_then(|()| download(&package)).map_err(|_| error))
        .map_err(|error| {
            Error::other(format!(
                "{error}; the host has to be a Debian where this works: apt-get update && apt-get download {CURRENT}"
            ))
        })?;
    for deb in fs::read_dir(&package)? {
        output(Command::new("dpkg-deb").arg("--extract").arg(deb?.path()).arg(&folder))?;
    }
    fs::remove_dir_all(&package)?;
    // Until Debian 12 the package has `/lib`, since then `/usr/lib`.
    if !folder.join(MODULES).exists() {
        fs::create_dir_all(folder.join("usr/lib"))?;
        fs::rename(folder.join("lib/modules"), folder.join(MODULES))?;
    }
    // Since Debian 13 they are compressed, which busybox's modprobe cannot load.
    output(Command::new("find").arg(folder.join(MODULES)).args(["-name", "*.ko.xz", "-exec", "xz", "-d", "{}", "+"]))?;
    let version = Kernel::of(folder.clone())?.version;
    fs::remove_dir_all(folder.join("lib")).ok();
    std::os::unix::fs::symlink("usr/lib", folder.join("lib"))?;
    output(Command::new("busybox").args(["depmod", "-b"]).arg(&folder).arg(version))?;
    Ok(folder)
}

fn download(folder: &Path) -> Result<()> {
    let depends = output(Command::new("apt-cache").args(["depends", CURRENT]))?;
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let package = package.ok_or_else(|| Error::other(format!("apt knows no package {CURRENT}")))?;
    let mut apt_get = Command::new("apt-get");
    // The unprivileged user that apt downloads as cannot write into the cache.
    apt_get.args(["-o", "APT::Sandbox::User=root", "download"]).arg(format!("linux-image-{package}"));
    output(apt_get.current_dir(folder)).map(drop)
}
