//! What is to be mounted.

use std::str::FromStr;

use crate::{FileSystemId, MountTargetName, ParseError};

/// The first argument of `mount -t efs`: a file system by its id or the DNS name of its mount target, and the directory in
/// it, as `fs-0123456789abcdef0:/data`. The directory is seen from the root of the access point, where there is one.
///
/// # Differences from the EFS mount helper
/// Other names that lead to a mount target (CNAME records) are refused: what is verified would be up to the resolver.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MountSource {
    pub(super) file_system: Named,
    pub(super) path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Named {
    Id(FileSystemId),
    MountTarget(MountTargetName),
}

impl MountSource {
    /// The file system.
    pub const fn file_system(&self) -> &FileSystemId {
        match &self.file_system {
            Named::Id(id) => id,
            Named::MountTarget(name) => name.file_system(),
        }
    }

    /// The directory: `/`, or a path below it.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for MountSource {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (name, path) = text.split_once(':').map_or((text, "/"), |(name, path)| (name, path));
        let path = if path.is_empty() { "/" } else { path };
        if !path.starts_with('/') || path.contains(char::is_control) {
            return Err(ParseError {
                expected: "a file system and the absolute path of a directory in it, like fs-0123456789abcdef0:/data",
                found: text.to_owned(),
                remedy: "write the path from / on, without control characters",
            });
        }
        let file_system = match (name.parse(), name.parse()) {
            (Ok(id), _) => Named::Id(id),
            (_, Ok(name)) => Named::MountTarget(name),
            _ => {
                return Err(ParseError {
                    expected: "a file system by its id or the DNS name of its mount target, like fs-0123456789abcdef0:/",
                    found: text.to_owned(),
                    remedy: "take FileSystemId from `aws efs describe-file-systems`; names of your own are not followed",
                });
            }
        };
        Ok(Self { file_system, path: path.to_owned() })
    }
}
