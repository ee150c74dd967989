//! The files of the folder.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn find() -> Self {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
        let folder = std::env::var_os("CONFORMANCE_VECTORS").map_or(own, PathBuf::from);
        Self(Some(folder.join("luks")).filter(|sub| sub.is_dir()).unwrap_or(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> T {
        let path = self.0.join(name);
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn image(&self, file: &str) -> Vec<u8> {
        let path = self.0.join(file);
        let file = fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut image = Vec::new();
        XzReader::new(std::io::BufReader::new(file), false).read_to_end(&mut image).unwrap();
        image
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
