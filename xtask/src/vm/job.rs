//! What a job needs, as written at the head of its script.

use std::fmt;
use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A script, and what it asks for in lines such as `#: modules nfsv4 xfs`.
#[derive(Debug)]
pub(crate) struct Job {
    /// The script's name without `.sh`.
    pub(crate) name: String,
    pub(crate) script: PathBuf,
    /// Kernel modules that can be loaded, without those that they depend on.
    pub(crate) modules: Vec<String>,
    /// Files of the host's Debian packages: programs and plug-ins by name, others by their path.
    pub(crate) files: Vec<String>,
    /// Programs of this workspace.
    pub(crate) binaries: Vec<String>,
    /// MiB.
    pub(crate) memory: u32,
    /// Seconds from switching on to the end.
    pub(crate) limit: u32,
}

impl Job {
    /// The jobs of a folder that have these names, or all, by name.
    pub(crate) fn choose(folder: &Path, names: &[&str]) -> Result<Vec<Self>> {
        let mut scripts = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        scripts.sort();
        let jobs = scripts.into_iter().map(Self::read).collect::<Result<Vec<_>>>()?;
        if let Some(unknown) = names.iter().find(|name| jobs.iter().all(|job| job.name != **name)) {
            let known: Vec<&str> = jobs.iter().map(|job| &*job.name).collect();
            return Err(Error::other(format!("there is no job {unknown}, but: {}", known.join(", "))));
        }
        Ok(jobs.into_iter().filter(|job| names.is_empty() || names.contains(&&*job.name)).collect())
    }

    fn read(script: PathBuf) -> Result<Self> {
        let name = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&script)?;
        let mut job = Self { name, script, modules: vec![], files: vec![], binaries: vec![], memory: 512, limit: 300 };
        for line in text.lines() {
            let Some(line) = line.strip_prefix("#:") else { continue };
            let mut words = line.split_ascii_whitespace();
            let key = words.next().unwrap_or_default();
            let mut values: Vec<String> = words.map(str::to_owned).collect();
            match key {
                "modules" => job.modules.append(&mut values),
                "files" => job.files.append(&mut values),
                "binaries" => job.binaries.append(&mut values),
                "memory" => job.memory = job.number(line, &values)?,
                "limit" => job.limit = job.number(line, &values)?,
                _ => return Err(job.misread(line)),
            }
        }
        Ok(job)
    }

    fn number<N: FromStr>(&self, line: &str, values: &[String]) -> Result<N> {
        let number = if let [value] = values { value.parse().ok() } else { None };
        number.ok_or_else(|| self.misread(line))
    }

    fn misread(&self, line: &str) -> Error {
        Error::other(format!(
            "{}: `#:{line}` is none of `#: modules|files|binaries WORD…`, `#: memory MIB`, `#: limit SECONDS`",
            self.script.display()
        ))
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vm {}", self.name)
    }
}
