//! LUKS headers, keys and volumes.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod anti_forensic;
mod cipher;
pub use cipher::{CipherError, CipherSpec};
mod hash;
pub use hash::{HashAlgorithm, UnknownHash};
mod kdf;
pub use kdf::{Argon2Variant, Kdf, KdfError, KdfLimits};
mod volume_key;
pub use volume_key::VolumeKey;
